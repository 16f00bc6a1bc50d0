"""Names: which provider ids there may be, whose setting a name is, and what an unknown name was meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from flask import Flask

from tokenstore.config.sources import ENVIRONMENT, FILE_SUFFIX, PREFIX, Sources
from tokenstore.config.table import Settings
from tokenstore.core.model import LOGIN_PROVIDER, ProviderId
from tokenstore.core.settings import rows
from tokenstore.providers.settings import LOGIN_ROWS, ProviderSettings, prefix

PROVIDER_ROWS = rows(ProviderSettings)
LOGIN_PROVIDER_ROWS = tuple(row for row in PROVIDER_ROWS if row.name in LOGIN_ROWS)
STORE_ROWS = rows(Settings)

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# Names of the REST API and of pages that stand where a provider's id stands, or will.
_ROUTES = frozenset(
    {
        "admin",
        "authorizations",
        "confirm",
        "delegations",
        "docs",
        "healthz",
        "history",
        "link",
        "links",
        "metrics",
        "notifications",
        "oauth",
        "openapi",
        "providers",
        "readyz",
        "sessions",
        "static",
        "tickets",
        "whoami",
    }
)
# Settings of the reference implementation that mean nothing here; configuration written for it still starts.
_OF_REFERENCE = re.compile(
    r"SQLALCHEMY_TRACK_MODIFICATIONS|OIDC_USE_REFRESH_TOKEN|CACHE_.+"
    r"|SESSION_(?:FILE_.+|REDIS|PERMANENT|USE_SIGNER|KEY_PREFIX|SQLALCHEMY.*|COOKIE_.+|CACHELIB.*|SERIALIZATION_FORMAT)"
)
_OF_FLASK = frozenset(Flask.default_config)


def id_problem(text: str, ids: Iterable[str]) -> str | None:
    """What keeps a text from being a provider's id beside the other `ids`, in words that follow it; None if nothing."""
    if not _ID.fullmatch(text):
        return "is no id: write up to 32 of a-z, 0-9, _ and -, beginning with a letter or digit"
    if text in _ROUTES:
        return "is the name of a page or resource of the store: choose another"
    start = prefix(ProviderId(text))
    if taken := next((name for name in _reserved_names() if (name + "_").startswith(start)), None):
        return f"would own the setting {taken}: choose another"
    for other in ids:
        other_start = prefix(ProviderId(other))
        if other != text and other_start == start:
            return f"and {other} would share their settings: rename one"
        names = (other_start + row.name + "_" for row in PROVIDER_ROWS)
        if taken := next((name for name in names if len(start) > len(other_start) and name.startswith(start)), None):
            return f"would own {taken.removesuffix('_')}, a setting of {other}: rename one"
    return None


def owner(name: str, ids: Iterable[ProviderId]) -> ProviderId | None:
    """The provider that a setting's name belongs to: of those whose prefix it has, the one with the longest."""
    return max((one for one in ids if name.startswith(prefix(one))), key=len, default=None)


def unknown_names(sources: Sources, known: set[str], ids: tuple[ProviderId, ...]) -> list[str]:
    """A warning for every name given that is no setting, with what was probably meant."""
    unknown = ((name, one) for name, one in sources.given.items() if name not in known)
    return [f"{PREFIX * (one.origin == ENVIRONMENT)}{name} {_why(name, known, ids)}" for name, one in unknown]


def _why(name: str, known: set[str], ids: tuple[ProviderId, ...]) -> str:
    if _OF_REFERENCE.fullmatch(name):
        return "is accepted and not used"
    if name in _OF_FLASK:
        return "is Flask's own setting and has no effect here"
    owners = (LOGIN_PROVIDER, *ids)
    mine = owner(name, owners)
    if near := _nearest(name, [other for other in known if owner(other, owners) == mine]):
        return f"is no setting: did you mean {near}?"
    if mine is None and (missing := _missing_provider(name)):
        near = _nearest(name, known)
        return f"belongs to no provider: add {missing} to TOKEN_PROVIDERS" + (
            f", or did you mean {near}?" if near else ""
        )
    return "is no setting of the store and is ignored"


def _nearest(name: str, candidates: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, sorted(candidates), n=1, cutoff=0.8)), None)


def _missing_provider(name: str) -> str | None:
    """The id of the provider that a name would be a setting of, were there one."""
    name = name.removesuffix(FILE_SUFFIX)
    ends = sorted(("_" + row.name for row in PROVIDER_ROWS), key=len, reverse=True)
    start = next((name.removesuffix(end).lower() for end in ends if name.endswith(end)), "")
    return start if _ID.fullmatch(start) else None


def _reserved_names() -> list[str]:
    login = prefix(LOGIN_PROVIDER) + "CLIENT_ID"
    return [login, *(row.name for row in STORE_ROWS), *(row.name + FILE_SUFFIX for row in STORE_ROWS if row.secret)]
