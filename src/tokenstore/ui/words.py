"""How the pages say things: names, states, receipts, instants, durations. Values in, text or safe markup out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

from flask import Blueprint
from markupsafe import Markup

from tokenstore.core.model import Account, Link, Provider, RevocationResult
from tokenstore.core.overview import ScopeStatus, Status
from tokenstore.core.unlinking import Receipt


@dataclass(frozen=True, slots=True)
class StatusWords:
    """A state in a word or two, and what it asks of the person; `hint` is empty where there is nothing to say."""

    label: str
    hint: str = ""


_STATUS: Mapping[Status, StatusWords] = MappingProxyType(
    {
        Status.OK: StatusWords("Linked"),
        Status.EXPIRING: StatusWords("Ends soon", "The link ends within a week. Link again to renew it."),
        Status.CHECKING: StatusWords(
            "Being checked", "The provider refused the last refresh. The store asks it again by itself."
        ),
        Status.REAUTHORIZATION_REQUIRED: StatusWords(
            "Needs linking again", "The provider no longer gives tokens for this account."
        ),
        Status.NOT_OFFERED: StatusWords(
            "No longer offered",
            "Nobody gets tokens for these accounts. Unlink those that you do not want to keep here.",
        ),
        Status.NOT_LINKED: StatusWords("Not linked"),
        Status.UNAVAILABLE: StatusWords(
            "Not available",
            "The provider gives no tokens at present. The link is kept; the store asks again by itself.",
        ),
    }
)

_SCOPE_STATUS: Mapping[ScopeStatus, str] = MappingProxyType(
    {
        ScopeStatus.OK: "",
        ScopeStatus.NARROWER: "The provider granted less than was asked for.",
        ScopeStatus.OUTDATED: "More can be allowed now than when the account was linked:",
    }
)

# OpenID Connect Core sections 3.1.2.1, 5.4 and 11; what other scopes mean is the provider's affair.
_SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "openid": "who you are there",
        "profile": "your name and profile",
        "email": "your e-mail address",
        "offline_access": "stay linked while you are away",
    }
)

_UPSTREAM: Mapping[RevocationResult, str] = MappingProxyType(
    {
        RevocationResult.CONFIRMED: "{provider} confirmed that the access has been revoked there, too.",
        RevocationResult.QUEUED: (
            "{provider} has not confirmed the revocation; it is still owed. "
            "To be sure, remove the access in the settings of your account there."
        ),
        RevocationResult.UNSUPPORTED: (
            "{provider} cannot be told from here. "
            "To be thorough, remove the access in the settings of your account there."
        ),
        RevocationResult.FAILED: (
            "{provider} did not revoke the access. Remove it in the settings of your account there."
        ),
    }
)

NO_OFFLINE_ACCESS_MEND = (
    "Allow this client offline access at the provider (the grant refresh_token, or the scope offline_access). See "
    "whether its settings SCOPE, AUTHORIZE_PARAMS and PROMPT ask for that in the provider's way; some give a refresh "
    "token only with the prompt consent. If it never gives one, set REFRESH_MODE to never: accounts are linked then, "
    "and people link again when the access token ends."
)
"""What the operator can do where a provider gives no refresh token."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def provider_name(provider: Provider) -> str:
    """What a provider is called."""
    return provider.metadata.name or provider.id


def provider_host(provider: Provider) -> str:
    """Host, with its port if it is not the usual one, at which a person agrees to a linking; empty if unknown."""
    return urlsplit(provider.endpoints.authorize or provider.issuer or provider.discovery_url or "").netloc


def account_name(account: Account) -> str:
    """What an account is called: the best the provider told of it."""
    return account.name or account.email or account.subject


def link_name(link: Link) -> str:
    """What a link is called: by its label, else by its account."""
    return link.label or account_name(link.account)


def status_words(status: Status) -> StatusWords:
    """A state of a link or provider in words."""
    return _STATUS[status]


def scope_status_text(status: ScopeStatus) -> str:
    """What is to be said about a link's scopes; empty where all is well."""
    return _SCOPE_STATUS[status]


def scope_text(scope: str) -> str:
    """What a scope allows, in plain words; empty for scopes that only the provider knows."""
    return _SCOPES.get(scope, "")


def receipt_text(provider: Provider | None, receipt: Receipt) -> str:
    """What became of an account that was unlinked, here and at its provider, None if that is not offered any more."""
    name = provider_name(provider) if provider else receipt.link.provider_id
    upstream = _UPSTREAM[receipt.upstream].format(provider=name)
    return f"{link_name(receipt.link)} is unlinked. {upstream}"


def instant(moment: datetime) -> Markup:
    """A `time` element that shows an aware datetime in UTC, to the minute."""
    moment = moment.astimezone(UTC)
    shown = f"{moment.day} {moment:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(f"{moment:%Y-%m-%dT%H:%M:%SZ}", shown)


def duration(span: timedelta) -> str:
    """A time span in its largest whole unit, rounded down: `59 minutes`. Negative spans count as none."""
    seconds = max(0, int(span.total_seconds()))
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def init_words(blueprint: Blueprint) -> None:
    """Makes the words filters of all templates, so that pages made outside the blueprint can use them."""
    names = (provider_name, provider_host, account_name, link_name)
    texts = (status_words, scope_status_text, scope_text, instant, duration)
    for function in (*names, *texts):
        blueprint.add_app_template_filter(function)
