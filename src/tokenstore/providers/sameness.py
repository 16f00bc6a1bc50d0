"""Whether a refresh still speaks of the linked account (OIDC Core section 12.2).

Pure. The ID token of a refresh came straight from the token endpoint over TLS, so its claims are only compared and
never trusted for anything: no keys are fetched while a rotated token waits to be saved.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from joserfc.util import urlsafe_b64decode

from tokenstore.core.model import Account, Provider, ProviderKind, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.providers.fields import lookup, subject_text
from tokenstore.providers.strict_json import BadJson, parse_object


def others(provider: Provider, account: Account, tokens: TokenSet) -> tuple[Account | None, ...]:
    """The accounts of another subject that the ID token and kept fields name; None for what is no subject."""
    shown = (lookup(source, provider.subject_field) for source in (_claims(tokens.id_token), tokens.extra))
    subjects = (subject_text(value) for value in shown if value is not None)
    named = (subject for subject in subjects if subject != account.subject)
    return tuple(None if subject is None else replace(account, subject=subject) for subject in named)


def shows_another_issuer(provider: Provider, account: Account, tokens: TokenSet) -> bool:
    """Whether the ID token names another issuer, where it was an ID token that named the account's."""
    issuer = _claims(tokens.id_token).get("iss")
    return provider.kind is ProviderKind.OIDC and issuer is not None and issuer != account.issuer


def _claims(token: Secret | None) -> Mapping[str, Any]:
    """The claims of a compact JWS, unverified; none if it cannot be read."""
    parts = token.reveal().split(".") if token is not None else []
    if len(parts) != 3:
        return {}
    try:
        return parse_object(urlsafe_b64decode(parts[1].encode()))
    except (BadJson, binascii.Error, ValueError):
        return {}
