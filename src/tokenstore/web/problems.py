"""How errors become HTTP answers: RFC 9457 for programs, the template `error.html` for people, by one table.

Views raise and never build an error answer of their own.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Blueprint, Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from tokenstore import errors
from tokenstore.web.problem_table import BY_SLUG
from tokenstore.web.requests import request_id

if TYPE_CHECKING:
    from tokenstore.web.urls import PublicUrl

_log = logging.getLogger(__name__)

_REALM = 'Bearer realm="tokenstore"'
_INTERNAL = "Something went wrong on our side. Tell the operator the request id."
BROWSER_STOPS = frozenset({"authorize", "login", "logout", "redirect_uri"})
"""Last parts of addresses below /api that browsers navigate to; all others there are for programs alone."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error looks like from outside; the template gets it as `problem`.

    `repeatable`: nothing was done, so the same request may be sent again even where it uses something up.
    """

    type: str
    slug: str
    title: str
    status: int
    detail: str
    request_id: str
    authorize_url: str | None = None
    since: int | None = None
    errors: tuple[errors.FieldProblem, ...] = ()
    repeatable: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """The members of the problem document (RFC 9457 section 3.1), those that are unknown left out."""
        known = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": self.request_id,
            "authorize_url": self.authorize_url,
            "since": self.since,
            "errors": [{"pointer": each.pointer, "detail": each.detail} for each in self.errors] or None,
        }
        return {name: value for name, value in known.items() if value is not None}


def problem_of(
    error: errors.TokenStoreError, request_id: str, public_url: PublicUrl, *, legacy: bool = False
) -> Problem:
    """The problem that an error is, by the table; `legacy`: with the status of the reference implementation."""
    row = BY_SLUG[error.slug]
    since = getattr(error, "since", None)
    return Problem(
        type=public_url.absolute(f"/api/errors/{row.slug}"),
        slug=row.slug,
        title=error.title,
        status=(legacy and row.legacy) or row.status,
        detail=error.detail,
        request_id=request_id,
        authorize_url=_authorize_url(error, public_url),
        since=None if since is None else int(since.timestamp()),
        errors=getattr(error, "errors", ()),
        repeatable=isinstance(error, errors.ProviderBusy),
        headers=_headers(error),
    )


def init_problems(app: Flask, public_url: PublicUrl, *, legacy_status_codes: bool = False) -> None:
    """Answers every error of the application, and serves the pages that `type` names at `/api/errors/<slug>`.

    `legacy_status_codes`: what old clients call answers with the statuses that they know.
    """

    def answer(error: errors.TokenStoreError) -> Response:
        legacy = legacy_status_codes and _is_for_old_clients()
        problem = problem_of(error, request_id(), public_url, legacy=legacy)
        _note(error, problem)
        return _page(problem) if _is_for_a_person() else _document(problem)

    def answer_http(error: HTTPException) -> Response:
        cause = error.original_exception if isinstance(error, InternalServerError) else None
        if isinstance(cause, errors.TokenStoreError):
            return answer(cause)
        if isinstance(error, RequestRedirect):
            return Response(status=error.code, headers={"Location": error.new_url})
        response = answer(_from_http(error))
        allowed = error.get_response().headers.get("Allow")
        if allowed:
            response.headers["Allow"] = allowed
        return response

    def answer_unexpected(error: Exception) -> Response:
        _log.error("unexpected error", exc_info=error)
        return answer(errors.TokenStoreError(_INTERNAL))

    app.register_error_handler(errors.TokenStoreError, answer)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_unexpected)
    app.register_blueprint(_type_pages())


def _type_pages() -> Blueprint:
    blueprint = Blueprint("errors", __name__)

    @blueprint.get("/api/errors/<slug>")
    def describe(slug: str) -> Response:
        row = BY_SLUG.get(slug)
        if row is None:
            raise errors.NotFound("There is no error of that name.")
        return Response(f"{row.error.title} ({row.status})\n\n{row.when}\n{row.mend}\n", mimetype="text/plain")

    return blueprint


def _authorize_url(error: errors.TokenStoreError, public_url: PublicUrl) -> str | None:
    by_linking = errors.NotLinked | errors.ReauthorizationRequired | errors.ScopeNotGranted
    if isinstance(error, by_linking) and getattr(error, "linking_mends", True):
        return public_url.absolute(f"/link/{quote(error.provider_id, safe='')}")
    return None


def _headers(error: errors.TokenStoreError) -> dict[str, str]:
    if isinstance(error, errors.BadCredentials):
        return {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": _REALM}
    if isinstance(error, errors.RetryLater):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after / timedelta(seconds=1))))}
    return {}


def _from_http(error: HTTPException) -> errors.TokenStoreError:
    """The error of ours that one of the framework's means; its text is dropped, as it may repeat the request."""
    code = error.code or 500
    if code == 404:
        return errors.NotFound("There is nothing at this address.")
    if isinstance(error, MethodNotAllowed):
        methods = sorted({*(error.valid_methods or ())} - {"HEAD", "OPTIONS"})
        return errors.MethodNotAllowed(f"This address does not know the method. It takes {' and '.join(methods)}.")
    if code == 413:
        return errors.InvalidRequest("The body is too large.")
    if code == 415:
        return errors.InvalidRequest("The body is of a type that this address does not take.")
    if 400 <= code < 500:
        return errors.InvalidRequest("The request could not be understood.")
    return errors.TokenStoreError(_INTERNAL)


def _is_for_old_clients() -> bool:
    return request.path == "/api/whoami" or request.path.startswith("/api/v1.0/")


def _is_for_a_person() -> bool:
    if request.blueprint == "ui":
        return True
    preferred = request.accept_mimetypes.best_match(["application/problem+json", "application/json", "text/html"])
    below_api = request.path.startswith("/api/")
    return preferred == "text/html" and (not below_api or request.path.rpartition("/")[2] in BROWSER_STOPS)


def _page(problem: Problem) -> Response:
    try:
        page = render_template("error.html", problem=problem)
    except Exception:  # noqa: BLE001  (an error page that cannot be made must not hide what went wrong)
        _log.exception("the error page cannot be rendered")
        return _document(problem)
    return Response(page, problem.status, problem.headers, mimetype="text/html")


def _document(problem: Problem) -> Response:
    body = json.dumps(problem.members())
    return Response(body, problem.status, problem.headers, mimetype="application/problem+json")


def _note(error: errors.TokenStoreError, problem: Problem) -> None:
    level = logging.WARNING if problem.status >= 500 else logging.INFO
    fields = {"slug": problem.slug, "status": problem.status, "path": request.path}
    _log.log(level, "problem", extra=fields | ({"debug": error.debug} if error.debug else {}))
