"""What every kind of caller gets at every route, by the state of the caller's link there. The page is made from it.

A cell is a status, with the problem's name where a program would see one; three of them stand for the three states.
"""

from __future__ import annotations

from collections.abc import Mapping

Cells = Mapping[str, str]
"""By class of callers."""

Operation = tuple[str, str]
"""Method and path."""

COLUMNS = ("session", "program", "other session", "anonymous", "bad", "no scope", "disabled", "disabled session")
"""The classes of callers, as `support.caller_matrix` lists their members."""

_NOT_LET_IN = {
    "anonymous": "401 unauthenticated",
    "bad": "401 invalid-token",
    "no scope": "403 policy-denied",
    "disabled": "403 policy-denied",
    "disabled session": "401 unauthenticated",
}


def everybody(cell: str) -> Cells:
    """A route that asks nobody who they are."""
    return dict.fromkeys(COLUMNS, cell)


def callers(own: str, other: str | None = None, **changed: str) -> Cells:
    """A route of the API: what its callers get, and what somebody else who names a thing of theirs gets."""
    return {"session": own, "program": own, "other session": other or own, **_NOT_LET_IN, **_named(changed)}


def people(own: str, other: str | None = None, *, strangers: str) -> Cells:
    """A page for people who are logged in; it knows callers by their session alone."""
    return {**everybody(strangers), "session": own, "other session": other or own}


def browsers(own: str) -> Cells:
    """A route for browsers, logged in or not: it has no use for credentials of another kind."""
    cells = people(own, strangers="400 invalid-request")
    return {**cells, "anonymous": own, "disabled session": own}


def _named(cells: Mapping[str, str]) -> Cells:
    return {name.replace("_", " "): cell for name, cell in cells.items()}


TOKEN = callers("404 not-linked | 200 | 409 reauthorization-required", "404 not-linked")
LINK_TOKEN = callers("404 not-found | 200 | 409 reauthorization-required", "404 not-found")
LOGIN_FIRST, NOT_LOGGED_IN = "302", "401"

TABLE: Mapping[Operation, Cells] = {
    ("GET", "/api/whoami"): callers("200", no_scope="200"),
    ("GET", "/api/v1.0/authorizations"): callers("200"),
    ("GET", "/api/v1.0/providers"): callers("200"),
    ("GET", "/api/v1.0/links"): callers("200"),
    ("PATCH", "/api/v1.0/links/{link}"): callers("404 not-found | 200 | 200", "404 not-found"),
    ("DELETE", "/api/v1.0/links/{link}"): callers("404 not-found | 200 | 200", "404 not-found"),
    ("GET", "/api/v1.0/links/{link}/token"): LINK_TOKEN,
    ("POST", "/api/v1.0/links/{link}/token"): LINK_TOKEN,
    ("GET", "/api/v1.0/{provider}/authorize"): callers("302"),
    ("POST", "/api/v1.0/{provider}/authorize"): callers("201"),
    ("GET", "/api/v1.0/{provider}/redirect_uri"): everybody("400 attempt-expired"),
    ("GET", "/api/v1.0/{provider}/token"): TOKEN,
    ("POST", "/api/v1.0/{provider}/token"): TOKEN,
    ("POST", "/api/v1.0/{provider}/revoke"): callers("200"),
    ("GET", "/api/v1.0/sessions"): callers("200"),
    ("DELETE", "/api/v1.0/sessions"): callers("200"),
    ("DELETE", "/api/v1.0/sessions/{session_id}"): callers("200", "404 not-found"),
    ("GET", "/api/oidc/login"): browsers("302"),
    ("GET", "/api/oidc/redirect_uri"): everybody("400 attempt-expired"),
    ("GET", "/api/oidc/logout"): everybody("200"),
    ("POST", "/api/oidc/logout"): browsers("200"),
    ("POST", "/api/oidc/backchannel_logout"): everybody("400 invalid-request"),
    ("GET", "/api/"): everybody("302"),
    ("GET", "/api/v1.0/"): everybody("200"),
    ("GET", "/api/v1.0/openapi.json"): everybody("200"),
    ("GET", "/api/v1.0/docs/redirect_uri"): everybody("200"),
    ("GET", "/metrics"): everybody("200"),
    ("GET", "/api/_health"): everybody("200"),
    ("GET", "/api/errors/{slug}"): everybody("200"),
    ("GET", "/healthz"): everybody("200"),
    ("GET", "/readyz"): everybody("200"),
    ("GET", "/"): everybody("200"),
    ("GET", "/static/{filename}"): everybody("200"),
    ("GET", "/link/{provider_id}"): people("200", strangers=LOGIN_FIRST),
    ("POST", "/link/{provider_id}"): people("200", strangers=NOT_LOGGED_IN),
    ("GET", "/confirm/{waiting_id}"): people("400", strangers=LOGIN_FIRST),
    ("POST", "/confirm/{waiting_id}"): people("400", strangers=NOT_LOGGED_IN),
    ("GET", "/links/{link_id}"): everybody("303"),
    ("GET", "/links/{link_id}/unlink"): people("404 | 200 | 200", "404", strangers=LOGIN_FIRST),
    ("POST", "/links/{link_id}/unlink"): people("303", strangers=NOT_LOGGED_IN),
    ("GET", "/links/{link_id}/token"): everybody("303"),
    ("POST", "/links/{link_id}/token"): people("404 | 200 | 409", "404", strangers=NOT_LOGGED_IN),
    ("POST", "/links/{link_id}/label"): people("404 | 303 | 303", "404", strangers=NOT_LOGGED_IN),
    ("POST", "/links/{link_id}/default"): people("404 | 303 | 303", "404", strangers=NOT_LOGGED_IN),
    ("GET", "/sessions"): people("200", strangers=LOGIN_FIRST),
    ("POST", "/sessions"): people("303", strangers=NOT_LOGGED_IN),
    ("POST", "/sessions/{session_id}/end"): people("303", strangers=NOT_LOGGED_IN),
}


def reference_page(classes: Mapping[str, tuple[str, ...]], states: tuple[str, ...]) -> str:
    """The documentation page, in Markdown."""
    lines = [f"| {name} | {', '.join(members)} |" for name, members in classes.items()]
    head = f"| operation | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}\n"
    rows = [
        f"| `{method} {path}` | {' | '.join(_shown(cells[column]) for column in COLUMNS)} |\n"
        for (method, path), cells in TABLE.items()
    ]
    introduction = _INTRODUCTION.format(states=", ".join(states), classes="\n".join(lines))
    return introduction + head + "".join(rows)


def _shown(cell: str) -> str:
    return cell.replace(" | ", " · ")


_INTRODUCTION = """\
# Who gets what

<!-- Made from tests/support/caller_table.py, which a test compares with what the store answers. -->

Every operation, tried by every kind of caller, for a link in each state: {states}. Where the state matters, a cell
has one answer for each, in this order. The link or session that an address names is that of the columns *session* and
*program*; *other session* is another person who is logged in and has linked nothing. A scope is demanded of programs
(`OIDC_REQUIRED_SCOPE`). Addresses without `/api` are pages and know people by their session alone, so that any other
caller is a stranger there.

| column | callers |
|---|---|
{classes}

"""
