"""What an error page says and offers to whom: who is logged in, where to try again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask import request, url_for

from tokenstore.errors import TokenStoreError
from tokenstore.identity.guards import Guards
from tokenstore.identity.user import User
from tokenstore.ui.words import NO_OFFLINE_ACCESS_MEND
from tokenstore.web.problems import Problem

_MINUTE = 60
_DONE = "This step was done already or has expired. Your accounts are as the list shows."
# After these, linking the same account anew is the thing to do.
_LINK_ANEW = frozenset({"attempt-expired", "link-denied", "no-offline-access"})


@dataclass(frozen=True, slots=True)
class WaysOut:
    """What the template of error pages needs. `again`: where to try again, empty for the page itself.

    `user`: None if nobody is logged in. `operator`: what the operator can do, where the person cannot do much.
    `wait`: after how long to try again.
    """

    user: User | None
    detail: str
    again: str | None
    operator: str | None
    wait: timedelta | None


def ways_out(guards: Guards, problem: Problem) -> WaysOut:
    """The ways out of the current request's problem; where it cannot be told who asks, it is nobody."""
    user = _user(guards)
    detail = _DONE if user and problem.slug == "attempt-expired" else problem.detail
    return WaysOut(user, detail, _again(problem), _operator(problem), _wait(problem))


def _user(guards: Guards) -> User | None:
    try:
        visitor = guards.visitor()
    except TokenStoreError:
        return None
    return visitor.user if visitor else None


def _operator(problem: Problem) -> str | None:
    return NO_OFFLINE_ACCESS_MEND if problem.slug == "no-offline-access" else None


def _wait(problem: Problem) -> timedelta | None:
    """The time that the header says, from a minute on in whole minutes, rounded up."""
    seconds = int(problem.headers.get("Retry-After", "0"))
    if seconds < _MINUTE:
        return timedelta(seconds=seconds) if seconds else None
    return timedelta(minutes=-(-seconds // _MINUTE))


def _again(problem: Problem) -> str | None:
    endpoint, named = request.endpoint or "", request.view_args or {}
    passing = problem.status == 503
    if problem.repeatable and request.method == "GET":
        return ""
    if endpoint in ("api.redirect_uri", "ui.begin"):
        provider_id = named.get("provider") or named.get("provider_id")
        return url_for("ui.start", provider_id=provider_id) if passing or problem.slug in _LINK_ANEW else None
    if passing and endpoint.startswith("oidc."):
        return url_for("oidc.begin")
    if passing and endpoint.startswith("ui.") and request.method == "GET":
        return url_for(endpoint, **named)
    return None
