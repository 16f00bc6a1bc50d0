"""`GET /links`: the caller's links as one list, a page at a time. `PATCH /links/{link}`: its name, and the default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NotRequired, TypedDict
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, jsonify

from tokenstore.api.authorizations import LinkJson
from tokenstore.api.authorizations import link as link_json
from tokenstore.api.parameters import Problems, json_object, one_text, query_values
from tokenstore.core.choices import LABEL_MOST
from tokenstore.core.model import Chosen, LinkId
from tokenstore.core.overview import LinkOverview
from tokenstore.identity.guards import Guards
from tokenstore.web.openapi import meaning
from tokenstore.web.services import Services

LIMIT = 50
LIMIT_MOST = 200
_LABEL = f"Its name, at most {LABEL_MOST} printable characters; null or empty: none"
_DEFAULT = "It is used where no link is named; send it to another one to undo it"


class ListedLinkJson(LinkJson):
    """A link with the provider it is at."""

    provider: Annotated[str, meaning("The provider's id")]


class LinksJson(TypedDict):
    """A page of links, in an order that does not change."""

    links: list[ListedLinkJson]
    next: Annotated[str | None, meaning("Address of the next page; null: this is the last", format="uri")]


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the list of links to the API."""

    @blueprint.get("/links")
    def links() -> Response:
        """The caller's links at all providers, by id."""
        caller = guards.require_user().caller
        problems = Problems()
        values = query_values()
        for name in sorted(values.keys() - {"limit", "after"}):
            problems.add(name, "is not a parameter of this call")
        limit, after = limit_of(values, problems), after_of(values, problems)
        problems.raise_if_any()
        found = [one for one in listed(services.overview.everything(caller).links) if after is None or one[0] > after]
        more = urlencode({"limit": limit, "after": str(found[limit - 1][0])}) if len(found) > limit else None
        page: LinksJson = {
            "links": [one for _, one in found[:limit]],
            "next": services.public_url.absolute(f"/api/v1.0/links?{more}") if more else None,
        }
        return jsonify(page)

    @blueprint.patch("/links/<uuid:link>")
    def change_link(link: UUID) -> Response:
        """Name the link, make it the default one, or both; the link as it is then."""
        caller = guards.require_user().caller
        body, problems = json_object(), Problems()
        changes = changes_of(body, problems)
        problems.raise_if_any()
        label = changes["label"] or "" if "label" in changes else None
        services.choices.choose(caller, LinkId(link), Chosen(label, changes.get("default", False)))
        return jsonify(listed_link(services.overview.one(caller, LinkId(link))))


class ChangesJson(TypedDict):
    """What is to become of a link."""

    label: NotRequired[Annotated[str | None, meaning(_LABEL, maxLength=LABEL_MOST)]]
    default: NotRequired[Annotated[bool, meaning(_DEFAULT, enum=[True])]]


def changes_of(body: dict[str, object], problems: Problems) -> ChangesJson:
    """The changes that a body asks for."""
    changes: ChangesJson = {}
    for name in sorted(body.keys() - {"label", "default"}):
        problems.add(name, "is not a member of this call")
    label, default = body.get("label"), body.get("default", True)
    if label is not None and not isinstance(label, str):
        problems.add("label", "must be a text or null")
    elif "label" in body:
        changes["label"] = label
    if default is not True:
        problems.add("default", "must be true; to choose another link, send it to that one")
    elif "default" in body:
        changes["default"] = True
    return changes


def listed(overviews: Sequence[LinkOverview]) -> list[tuple[UUID, ListedLinkJson]]:
    """The links by id: the one order that neither a use nor a new default changes."""
    found = [(one.standing.link.id, listed_link(one)) for one in overviews]
    return sorted(found, key=lambda item: item[0])


def listed_link(overview: LinkOverview) -> ListedLinkJson:
    """One link with its provider, be that offered or not."""
    return {**link_json(overview), "provider": overview.standing.link.provider_id}


def limit_of(values: dict[str, object], problems: Problems) -> int:
    """The `limit` parameter: 1 to 200."""
    text = one_text(values, "limit", problems)
    if text is None:
        return LIMIT
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= LIMIT_MOST:
        return int(text)
    problems.add("limit", f"must be a whole number from 1 to {LIMIT_MOST}")
    return LIMIT


def after_of(values: dict[str, object], problems: Problems) -> UUID | None:
    """The `after` parameter: the last link of the page before, which need not exist any more."""
    text = one_text(values, "after", problems)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        problems.add("after", "must be taken from the address in next")
        return None
