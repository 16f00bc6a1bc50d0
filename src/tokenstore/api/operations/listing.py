"""What can be linked and what is linked."""

from __future__ import annotations

from tokenstore.api.authorizations import AuthorizationJson
from tokenstore.api.links import LIMIT, LIMIT_MOST, ChangesJson, LinksJson, ListedLinkJson
from tokenstore.api.operations.examples import ACTIONS, LINK, LINK_ID, LINK_PLACE, METADATA, UUID
from tokenstore.api.providers import ProviderJson
from tokenstore.errors import InvalidRequest, NotFound
from tokenstore.web.openapi import BASE, Answer, Body, Operation, Parameter

_PROVIDER = {
    "provider": "idp1",
    "issuer": "https://idp1.example.org",
    "scopes": ["email", "offline_access", "openid"],
    "actions": ACTIONS,
    "link_url": f"{BASE}/link/idp1",
    "metadata": METADATA,
}
_AUTHORIZATION = {
    "provider": "idp1",
    "active": True,
    "actions": ACTIONS,
    "metadata": METADATA,
    "status": "ok",
    "scope_status": "ok",
    "links": [LINK],
}
_LINKS = {
    "links": [{**LINK, "provider": "idp1"}],
    "next": f"{BASE}/api/v1.0/links?limit=1&after={LINK_ID}",
}

OPERATIONS = (
    Operation(
        "list_providers",
        "get",
        "/api/v1.0/providers",
        "The providers at which accounts can be linked, in the order of TOKEN_PROVIDERS",
        "Links",
        (
            Answer("The providers", list[ProviderJson], [_PROVIDER], headers={"ETag": "Of the list"}),
            Answer("They are still those of `If-None-Match`", status=304, headers={"ETag": "Of the list"}),
        ),
    ),
    Operation(
        "list_authorizations",
        "get",
        "/api/v1.0/authorizations",
        "Every provider with the caller's links",
        "Links",
        (Answer("The providers", list[AuthorizationJson], [_AUTHORIZATION]),),
    ),
    Operation(
        "list_links",
        "get",
        "/api/v1.0/links",
        "The caller's links, a page at a time",
        "Links",
        (Answer("A page of links", LinksJson, _LINKS),),
        (
            Parameter(
                "limit",
                "query",
                "Links on a page",
                {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST, "default": LIMIT},
                1,
                may_be_empty=True,
            ),
            Parameter("after", "query", "As in the address in `next`", UUID, may_be_empty=True),
        ),
        problems=(InvalidRequest,),
    ),
    Operation(
        "change_link",
        "patch",
        "/api/v1.0/links/{link}",
        "Name a link, or make it the default one",
        "Links",
        (Answer("The link as it is then", ListedLinkJson, {**LINK, "label": "Work", "provider": "idp1"}),),
        (LINK_PLACE,),
        Body(ChangesJson, {"label": "Work", "default": True}, closed=True),
        problems=(InvalidRequest, NotFound),
    ),
)
