"""Fresh access tokens, by provider and by link."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from tokenstore.api.operations.examples import LINK_PLACE, PROVIDER, TOKEN
from tokenstore.api.parameters import MIN_VALID_MOST
from tokenstore.api.tokens import TokenJson
from tokenstore.errors import (
    CsrfFailed,
    InvalidRequest,
    NotFound,
    NotLinked,
    ProviderMisconfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshInProgress,
    ScopeNotGranted,
    UnknownProvider,
)
from tokenstore.web.openapi import Answer, Body, Operation, Parameter, meaning

_MIN_VALID = "Seconds that the token has to be good; at most half its lifetime is demanded"
_SCOPE = "A subset of what was granted, spaces between"
_AUDIENCE = "Where the provider's AUDIENCE_STYLE has it"
_RESOURCE = "As RFC 8707, where the provider's AUDIENCE_STYLE has it"
_FORCE = "One issued after this request; at most one refresh of a link in 30 s"
_WHICH = "Which account; without it the default link"


class TokenOfLinkBody(TypedDict):
    """What the token of a link has to be."""

    min_valid: NotRequired[Annotated[int, meaning(_MIN_VALID, minimum=0, maximum=MIN_VALID_MOST)]]
    scope: NotRequired[Annotated[str, meaning(_SCOPE)]]
    audience: NotRequired[Annotated[str, meaning(_AUDIENCE)]]
    resource: NotRequired[Annotated[str | list[str], meaning(_RESOURCE)]]
    force: NotRequired[Annotated[bool, meaning(_FORCE)]]


class TokenBody(TokenOfLinkBody):
    """What the token has to be."""

    link: NotRequired[Annotated[str, meaning(_WHICH, format="uuid")]]


_QUERY = (
    Parameter(
        "min_valid",
        "query",
        _MIN_VALID,
        {"type": "integer", "minimum": 0, "maximum": MIN_VALID_MOST, "default": 60},
    ),
    Parameter("scope", "query", _SCOPE, {"type": "string"}),
    Parameter("audience", "query", _AUDIENCE, {"type": "string"}),
    Parameter("resource", "query", _RESOURCE, {"type": "array", "items": {"type": "string"}, "maxItems": 16}),
    Parameter("force", "query", _FORCE, {"type": "boolean", "default": False}),
)
_LINK = Parameter("link", "query", _WHICH, {"type": "string", "format": "uuid"})
_ANSWERS = (Answer("The token", TokenJson, TOKEN),)
# A session's read that hands out a secret is checked like a change.
_OF_LINK = (
    InvalidRequest,
    CsrfFailed,
    NotFound,
    ScopeNotGranted,
    ReauthorizationRequired,
    RefreshInProgress,
    ProviderUnavailable,
    ProviderMisconfigured,
)
_OF_PROVIDER = (*(error for error in _OF_LINK if error is not NotFound), NotLinked, UnknownProvider)

OPERATIONS = (
    Operation(
        "get_token",
        "get",
        "/api/v1.0/{provider}/token",
        "A fresh access token of the caller's link",
        "Tokens",
        _ANSWERS,
        (PROVIDER, _LINK, *_QUERY),
        problems=_OF_PROVIDER,
    ),
    Operation(
        "post_token",
        "post",
        "/api/v1.0/{provider}/token",
        "The same, with the parameters as a JSON object",
        "Tokens",
        _ANSWERS,
        (PROVIDER,),
        Body(TokenBody, {"min_valid": 60, "force": False}),
        problems=_OF_PROVIDER,
    ),
    Operation(
        "get_token_of_link",
        "get",
        "/api/v1.0/links/{link}/token",
        "A fresh access token of one link",
        "Tokens",
        _ANSWERS,
        (LINK_PLACE, *_QUERY),
        problems=_OF_LINK,
    ),
    Operation(
        "post_token_of_link",
        "post",
        "/api/v1.0/links/{link}/token",
        "The same, with the parameters as a JSON object",
        "Tokens",
        _ANSWERS,
        (LINK_PLACE,),
        Body(TokenOfLinkBody, {"min_valid": 60, "force": False}),
        problems=_OF_LINK,
    ),
)
