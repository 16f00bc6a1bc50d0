"""Whether a refresh still speaks of the linked account (OIDC Core section 12.2).

Pure. The ID token of a refresh came straight from the token endpoint over TLS, so its claims are only compared and
never trusted for anything: no keys are fetched while a rotated token waits to be saved.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from joserfc.util import urlsafe_b64decode

from tokenstore.core.model import Account, Provider, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.providers.fields import lookup, subject_text
from tokenstore.providers.strict_json import BadJson, parse_object


def shows_another(provider: Provider, account: Account, tokens: TokenSet) -> bool:
    """Whether the ID token or kept fields name another subject, or the ID token another issuer; silence is neither."""
    claims = _claims(tokens.id_token)
    issuer = claims.get("iss")
    if issuer is not None and issuer != account.issuer:
        return True
    shown = (lookup(source, provider.subject_field) for source in (claims, tokens.extra))
    return any(value is not None and subject_text(value) != account.subject for value in shown)


def _claims(token: Secret | None) -> Mapping[str, Any]:
    """The claims of a compact JWS, unverified; none if it cannot be read."""
    parts = token.reveal().split(".") if token is not None else []
    if len(parts) != 3:
        return {}
    try:
        return parse_object(urlsafe_b64decode(parts[1].encode()))
    except (BadJson, binascii.Error, ValueError):
        return {}
