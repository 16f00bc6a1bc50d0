"""What a provider's answers teach about its ways, for operators to compare with its settings. Pure.

Owns the facts and how an answer shows them; where they are kept is the store's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore.core.model import TokenSet
from tokenstore.core.secret import Secret


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """Something that was seen of a provider. Both values of a name may have been seen at different times."""

    name: str
    value: str


GRACE = Fact("grace", "seen")
"""A refresh token that had been replaced was accepted once more."""


def of_linking(tokens: TokenSet) -> frozenset[Fact]:
    """What the answer to a code shows."""
    return frozenset({Fact("refresh-token", "given" if tokens.refresh_token else "not given"), *_of_any(tokens)})


def of_refresh(tokens: TokenSet, spent: Secret) -> frozenset[Fact]:
    """What the answer to a refresh shows; `spent` is the refresh token that was sent."""
    rotated = tokens.refresh_token is not None and tokens.refresh_token != spent
    return frozenset(
        {
            Fact("rotates", "yes" if rotated else "no"),
            Fact("id-token-on-refresh", "sent" if tokens.id_token else "not sent"),
            *_of_any(tokens),
        }
    )


def _of_any(tokens: TokenSet) -> set[Fact]:
    facts = {
        # A default that an operator configured is not told apart from what the provider sent: the question is whether
        # the end is known.
        Fact("expiry", "known" if tokens.expires_in is not None else "unknown"),
        Fact("scope", "not sent" if tokens.scopes is None else "sent"),
    }
    if tokens.refresh_token is not None:
        told = tokens.refresh_never_expires or tokens.refresh_expires_in is not None
        facts.add(Fact("refresh-token-expiry", "sent" if told else "not sent"))
    return facts
