"""Linking an account and unlinking it."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from tokenstore.api.linking import BegunJson
from tokenstore.api.operations.examples import LINK_ID, LINK_PLACE, PROVIDER, RETURN_URL, TEXT, UUID
from tokenstore.api.parameters import TEXT_MOST
from tokenstore.api.unlinking import UnlinkedJson
from tokenstore.core.wishes import HINT_MOST, PROMPTS
from tokenstore.errors import (
    AccountMismatch,
    AttemptExpired,
    InvalidRequest,
    LinkDenied,
    NoOfflineAccess,
    NotFound,
    ProviderMisconfigured,
    ProviderUnavailable,
    ReturnUrlRefused,
    UnknownProvider,
)
from tokenstore.web.openapi import Answer, Body, Callers, Operation, Parameter, meaning

_AT_PROVIDER = "https://idp1.example.org/authorize?response_type=code&client_id=tokenstore"
_RECEIPT = "The worst receipt, where something was unlinked: `confirmed`, `queued`, `unsupported` or `failed`"
_SCOPE = "Fewer scopes than configured, spaces between; those for lasting access are asked for anyway"
_PROMPT = f"Besides the configured one: {', '.join(PROMPTS)}, spaces between (OIDC Core section 3.1.2.1)"
_LOGIN_HINT = "Which account the provider should offer"
_LINK = "Id of the link that is to be renewed; what it was asked for before is asked again"
_REFERER = "The same as `return_url`, as clients of the reference implementation say it"
_RESULT = "`query`: the return URL is told the result"


class BeginBody(TypedDict):
    """How the linking goes; what is null or empty is as if it were not there."""

    return_url: NotRequired[Annotated[str | None, meaning("Where the browser ends up", maxLength=TEXT_MOST)]]
    scope: NotRequired[Annotated[str | None, meaning(_SCOPE, maxLength=TEXT_MOST)]]
    prompt: NotRequired[Annotated[str | None, meaning(_PROMPT, maxLength=TEXT_MOST)]]
    login_hint: NotRequired[Annotated[str | None, meaning(_LOGIN_HINT, maxLength=HINT_MOST)]]
    link: NotRequired[Annotated[str | None, meaning(_LINK, format="uuid")]]
    result: NotRequired[Annotated[str | None, meaning(_RESULT, enum=["query", "", None])]]
    referer: NotRequired[Annotated[str | None, meaning(_REFERER, maxLength=TEXT_MOST)]]


class RevokeBody(TypedDict):
    """What is to be unlinked."""

    link: NotRequired[Annotated[str | None, meaning("The one link; without it all at the provider", format="uuid")]]


_WISHES = (
    Parameter("scope", "query", _SCOPE, TEXT, may_be_empty=True),
    Parameter("prompt", "query", _PROMPT, TEXT, may_be_empty=True),
    Parameter("login_hint", "query", _LOGIN_HINT, {"type": "string", "maxLength": HINT_MOST}, may_be_empty=True),
    Parameter("link", "query", _LINK, UUID, may_be_empty=True),
    Parameter("result", "query", _RESULT, {"type": "string", "enum": ["query"]}, may_be_empty=True),
)
_BEGINNING = (
    *(InvalidRequest, ReturnUrlRefused, UnknownProvider, NotFound),
    *(ProviderUnavailable, ProviderMisconfigured),
)
_CALLBACK = (
    Parameter("state", "query", "Of the attempt", {"type": "string"}),
    Parameter("code", "query", "Of the provider (RFC 6749 section 4.1.2)", {"type": "string"}),
    Parameter("iss", "query", "The provider's issuer (RFC 9207)", {"type": "string"}),
    Parameter("error", "query", "Of the provider (RFC 6749 section 4.1.2.1)", {"type": "string"}),
)

OPERATIONS = (
    Operation(
        "begin_in_browser",
        "get",
        "/api/v1.0/{provider}/authorize",
        "For browsers: begin to link an account and go to the provider",
        "Links",
        (Answer("To the provider, or first to a page that asks", status=302, headers={"Location": "Where to"}),),
        (PROVIDER, RETURN_URL, *_WISHES),
        problems=_BEGINNING,
    ),
    Operation(
        "begin",
        "post",
        "/api/v1.0/{provider}/authorize",
        "For programs: begin to link an account; the person's browser has to go to the address in the answer",
        "Links",
        (
            Answer(
                "The attempt is begun",
                BegunJson,
                {"authorize_url": _AT_PROVIDER, "expires_at": 1795300600},
                201,
                {"Location": "The provider's address"},
            ),
        ),
        (PROVIDER,),
        Body(BeginBody, {"return_url": "/"}),
        problems=_BEGINNING,
    ),
    Operation(
        "complete",
        "get",
        "/api/v1.0/{provider}/redirect_uri",
        "Where the provider sends the browser back to",
        "Links",
        (
            Answer(
                "To exactly the return URL; if `result=query` was asked for, also after an error, with `result` "
                "(`ok` or `error`), `provider` and `error` (its name) in its query",
                status=302,
                headers={"Location": "The return URL"},
            ),
        ),
        (PROVIDER, *_CALLBACK),
        problems=(
            *(InvalidRequest, AttemptExpired, LinkDenied, AccountMismatch, NoOfflineAccess),
            *(UnknownProvider, ProviderUnavailable, ProviderMisconfigured),
        ),
        callers=Callers.BROWSER,
    ),
    Operation(
        "revoke",
        "post",
        "/api/v1.0/{provider}/revoke",
        "Unlink all accounts of the caller at a provider, or one",
        "Links",
        (
            Answer(
                "Unlinked, also when nothing was linked",
                str,
                "Token revoked",
                headers={"X-Upstream-Revocation": _RECEIPT},
            ),
        ),
        (PROVIDER,),
        Body(RevokeBody, {}),
        problems=(InvalidRequest, UnknownProvider),
    ),
    Operation(
        "delete_link",
        "delete",
        "/api/v1.0/links/{link}",
        "Unlink one account",
        "Links",
        (Answer("Unlinked, with what the provider said", UnlinkedJson, {"link": LINK_ID, "upstream": "confirmed"}),),
        (LINK_PLACE,),
        problems=(NotFound,),
    ),
)
