"""Beginning an attempt: fresh state, nonce and PKCE verifier, kept sealed until the browser comes back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from tokenstore.core.model import Attempt, Identity, Link, Provider, Purpose
from tokenstore.core.places import Places
from tokenstore.core.ports import AttemptStore, ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.core.wishes import NO_WISHES, Wishes, hints, scopes_to_ask

LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and until when it has to be back."""

    location: str
    expires_at: datetime


class Attempts:
    """Starts attempts for logins and links alike."""

    def __init__(self, store: AttemptStore, client: ProviderClient, places: Places) -> None:
        self._store = store
        self._client = client
        self._places = places

    def begin(
        self,
        purpose: Purpose,
        provider: Provider,
        *,
        user: Identity | None,
        session_key: str | None,
        return_url: str,
        wishes: Wishes = NO_WISHES,
        link: Link | None = None,
    ) -> Begun:
        """Save an attempt and return the provider's address for it. `link`: the one that the wishes name.

        Raises InvalidRequest (a scope that is not configured), ProviderUnavailable (ProviderBusy where no place is
        free) or ProviderMisconfigured (nothing is saved then) and StorageUnavailable.
        """
        attempt = Attempt(
            state=random_value(),
            nonce=random_value(),
            code_verifier=random_value(),
            purpose=purpose,
            provider_id=provider.id,
            user=user,
            session_key=session_key,
            return_url=return_url,
            scopes=scopes_to_ask(provider, wishes, link),
            redirect_uri=provider.redirect_uri,
            expires_at=self._store.now() + LIFETIME,
            link_id=link.id if link else None,
            reports=wishes.reports,
        )
        with self._places.at(provider):  # its metadata may have to be fetched first
            location = self._client.authorization_url(provider, attempt, hints(provider, wishes, link))
        self._store.save(attempt)
        return Begun(location, attempt.expires_at)


def random_value() -> Secret:
    """256 random bits as 43 URL-safe characters, which is also a valid PKCE verifier (RFC 7636 section 4.1)."""
    return Secret(secrets.token_urlsafe(32))
