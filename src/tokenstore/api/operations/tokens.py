"""Fresh access tokens, by provider and by link."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

import msgspec

from tokenstore.api.operations.examples import LINK_PLACE, PROVIDER, TEXT, TOKEN, UUID
from tokenstore.api.parameters import MIN_VALID_MOST, TEXT_MOST, TEXTS_MOST
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
_RESOURCES = {"type": "array", "items": {**TEXT, "minLength": 1}, "maxItems": TEXTS_MOST}
_Resource = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MOST)]


class TokenOfLinkBody(TypedDict):
    """What the token of a link has to be; what is null is as if it were not there."""

    min_valid: NotRequired[Annotated[int | None, meaning(_MIN_VALID, minimum=0, maximum=MIN_VALID_MOST)]]
    scope: NotRequired[Annotated[str | None, meaning(_SCOPE, maxLength=TEXT_MOST)]]
    audience: NotRequired[Annotated[str | None, meaning(_AUDIENCE, maxLength=TEXT_MOST)]]
    resource: NotRequired[Annotated[_Resource | list[_Resource] | None, meaning(_RESOURCE, maxItems=TEXTS_MOST)]]
    force: NotRequired[Annotated[bool | None, meaning(_FORCE)]]


class TokenBody(TokenOfLinkBody):
    """What the token has to be."""

    link: NotRequired[Annotated[str | None, meaning(_WHICH, format="uuid")]]


_QUERY = (
    Parameter(
        "min_valid",
        "query",
        _MIN_VALID,
        {"type": "integer", "minimum": 0, "maximum": MIN_VALID_MOST, "default": 60},
    ),
    Parameter("scope", "query", _SCOPE, TEXT, may_be_empty=True),
    Parameter("audience", "query", _AUDIENCE, TEXT, may_be_empty=True),
    Parameter("resource", "query", _RESOURCE, _RESOURCES),
    Parameter("force", "query", _FORCE, {"type": "boolean", "default": False}),
)
_LINK = Parameter("link", "query", _WHICH, UUID, may_be_empty=True)
_ANSWERS = (Answer("The token", TokenJson, TOKEN),)
# A session's read that hands out a secret is checked like a change.
_OF_LINK = (
    InvalidRequest,
    CsrfFailed,
    NotFound,
    UnknownProvider,
    ScopeNotGranted,
    ReauthorizationRequired,
    RefreshInProgress,
    ProviderUnavailable,
    ProviderMisconfigured,
)
_OF_PROVIDER = (*(error for error in _OF_LINK if error is not NotFound), NotLinked)

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
        Body(TokenBody, {"min_valid": 60, "force": False}, closed=True),
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
        Body(TokenOfLinkBody, {"min_valid": 60, "force": False}, closed=True),
        problems=_OF_LINK,
    ),
)
