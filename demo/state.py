"""What a provider remembers: codes, grants, tokens and consents, in memory, behind one lock.

The rotation policy is decided here; protocol and pages are not.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from demo.calls import CallLog
from demo.config import Account, Client, ProviderConfig
from demo.grants import AccessToken, Code, Grant, RefreshToken
from demo.knobs import Knobs
from demo.signing import SigningKeys


class Clock:
    """Seconds since the epoch, which tests may move on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """The present."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._ahead += seconds


class ProviderState:
    """Everything one provider knows. `lock` is held over a whole token request, so that policy is exact."""

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.issuer = ""
        self.clock = Clock()
        self.knobs = Knobs()
        self.calls = CallLog()
        self.keys = SigningKeys()
        self.control_key = secrets.token_urlsafe(24)
        self.session_key = secrets.token_bytes(32)
        self.stopping = threading.Event()
        self.lock = threading.RLock()
        self._clients = {client.client_id: client for client in config.clients}
        self._codes: dict[str, Code] = {}
        self._grants: list[Grant] = []
        self._refresh: dict[str, RefreshToken] = {}
        self._access: dict[str, AccessToken] = {}
        self._consents: dict[tuple[str, str], frozenset[str]] = {}
        self._nonces: set[tuple[str, str]] = set()

    def register(self, client: Client) -> None:
        """Add a client, or replace the one of the same id."""
        with self.lock:
            self._clients[client.client_id] = client

    def client(self, client_id: str) -> Client | None:
        """The client of this id."""
        with self.lock:
            return self._clients.get(client_id)

    def clients(self) -> list[Client]:
        """Every client."""
        with self.lock:
            return list(self._clients.values())

    def enrol(self, account: Account) -> None:
        """Add an account."""
        with self.lock:
            self.config = replace(self.config, accounts=(*self.config.accounts, account))

    def account(self, username: str) -> Account | None:
        """The account that signs in under this name."""
        return next((account for account in self.config.accounts if account.username == username), None)

    def account_of(self, subject: str) -> Account | None:
        """The account with this subject."""
        return next((account for account in self.config.accounts if account.subject == subject), None)

    def consented(self, subject: str, client_id: str, scope: str) -> bool:
        """Whether this person allowed this client all of this scope before."""
        with self.lock:
            return frozenset(scope.split()) <= self._consents.get((subject, client_id), frozenset())

    def consent(self, subject: str, client_id: str, scope: str) -> None:
        """Remember what this person allows this client."""
        with self.lock:
            known = self._consents.get((subject, client_id), frozenset())
            self._consents[subject, client_id] = known | frozenset(scope.split())

    def nonce_seen(self, client_id: str, nonce: str) -> bool:
        """Whether a code was given for this nonce before."""
        with self.lock:
            return (client_id, nonce) in self._nonces

    def save_code(self, code: Code) -> None:
        """Keep a code until it is spent."""
        with self.lock:
            self._codes[code.value] = code
            if code.nonce is not None:
                self._nonces.add((code.client_id, code.nonce))

    def find_code(self, value: str, client_id: str) -> Code | None:
        """A code that this client may still spend; spending one twice ends its grant (RFC 6749 section 4.1.2)."""
        with self.lock:
            code = self._codes.get(value)
            if code is None or code.client_id != client_id:
                return None
            if code.grant is not None:
                self.revoke(code.grant)
                return None
            return code if code.expires_at > self.clock.now() else None

    def open_grant(self, code: Code) -> Grant:
        """Spend a code: the family that begins with it."""
        grant = Grant(secrets.token_hex(8), code.client_id, code.subject, code.scope, code.auth_time)
        with self.lock:
            code.grant = grant
            self._grants.append(grant)
        return grant

    def new_refresh_token(self, grant: Grant) -> str:
        """A further refresh token of a family, its newest."""
        with self.lock:
            value = secrets.token_urlsafe(32)
            self._refresh[value] = RefreshToken(value, grant)
            grant.newest = value
            return value

    def present(self, value: str, client_id: str) -> RefreshToken | None:
        """A refresh token that this client may use; reuse against the policy revokes the whole family."""
        with self.lock:
            token = self._refresh.get(value)
            if token is None or token.revoked or token.grant.revoked or token.grant.client_id != client_id:
                return None
            if token.used_at is not None and not self._reusable(token.used_at):
                token.grant.reuses += 1
                self.revoke(token.grant)
                return None
            return token

    def successor(self, token: RefreshToken) -> str | None:
        """The refresh token that answers the use of this one, by policy; None where it simply stays."""
        with self.lock:
            if self.config.rotation == "none":
                return None
            if token.used_at is not None and self.config.rotation == "grace":
                return token.grant.newest
            token.used_at = self.clock.now()
            return self.new_refresh_token(token.grant)

    def _is_live(self, token: RefreshToken) -> bool:
        spent = token.used_at is not None and not self._reusable(token.used_at)
        return not (spent or token.revoked or token.grant.revoked)

    def _reusable(self, used_at: float) -> bool:
        if self.config.rotation == "grace":
            return self.clock.now() - used_at <= self.config.grace_seconds
        return self.config.rotation == "keep-old"

    def save_access(self, value: str, grant: Grant, scope: str, expires_in: int | None) -> None:
        """Keep an access token of a family; `expires_in` in seconds, None for one without an end."""
        expires_at = None if expires_in is None else self.clock.now() + expires_in
        with self.lock:
            if self.config.refresh_ends_access:
                self._access = {name: token for name, token in self._access.items() if token.grant is not grant}
            self._access[value] = AccessToken(value, grant.subject, grant.client_id, scope, expires_at, grant)

    def access(self, value: str) -> AccessToken | None:
        """A live access token."""
        with self.lock:
            token = self._access.get(value)
            if token is None or (token.grant is not None and token.grant.revoked):
                return None
            expired = token.expires_at is not None and token.expires_at <= self.clock.now()
            return None if expired else token

    def find_token(self, value: str) -> RefreshToken | AccessToken | None:
        """Any token ever given out, live or not."""
        with self.lock:
            return self._refresh.get(value) or self._access.get(value)

    def revoke(self, grant: Grant) -> None:
        """End a grant with all its tokens."""
        with self.lock:
            grant.revoked = True

    def revoke_token(self, token: RefreshToken | AccessToken) -> None:
        """Revoke a token, and all others of its grant, or of its account and client, where that is the policy."""
        with self.lock:
            if self.config.revocation != "token":
                for grant in self._ended_with(token.grant) if token.grant is not None else ():
                    self.revoke(grant)
            elif isinstance(token, RefreshToken):
                token.revoked = True
            else:
                self._access.pop(token.value, None)

    def _ended_with(self, first: Grant) -> list[Grant]:
        if self.config.revocation == "grant":
            return [first]
        key = (first.subject, first.client_id)
        return [grant for grant in self._grants if (grant.subject, grant.client_id) == key]

    def grants(self, subject: str | None = None) -> list[Grant]:
        """All grants ever made, oldest first, of one person if given."""
        with self.lock:
            return [grant for grant in self._grants if subject in (None, grant.subject)]

    def live_refresh_tokens(self, subject: str | None = None) -> list[str]:
        """The refresh tokens that would still be taken without harm, of one person if given."""
        with self.lock:
            return [
                token.value
                for token in self._refresh.values()
                if subject in (None, token.grant.subject) and self._is_live(token)
            ]

    def grant_to_many(self, count: int, scope: str) -> list[tuple[str, str]]:
        """New people who all allow the first client this scope, without any page; subject and refresh token of each.

        Each is signed in under their subject.
        """
        subjects = [secrets.token_hex(12) for _ in range(count)]
        people = [Account(subject, subject, "Somebody", f"{subject}@example.org") for subject in subjects]
        with self.lock:
            self.config = replace(self.config, accounts=(*self.config.accounts, *people))
        return self.grant_again(subjects, scope)

    def grant_again(self, subjects: Iterable[str], scope: str) -> list[tuple[str, str]]:
        """These people allow the first client this scope once more; subject and refresh token of each."""
        client_id, now = self.config.clients[0].client_id, int(self.clock.now())
        with self.lock:
            grants = [Grant(secrets.token_hex(8), client_id, subject, scope, now) for subject in subjects]
            self._grants += grants
            return [(grant.subject, self.new_refresh_token(grant)) for grant in grants]

    def families(self, subjects: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """The grants of these people, oldest first: `revoked`, `reuses` (detected), and `live` (refresh tokens)."""
        wanted = frozenset(subjects)
        with self.lock:
            live = Counter(token.grant.id for token in self._refresh.values() if self._is_live(token))
            found: dict[str, list[dict[str, Any]]] = {subject: [] for subject in subjects}
            for grant in self._grants:
                if grant.subject in wanted:
                    told = {"revoked": grant.revoked, "reuses": grant.reuses, "live": live[grant.id]}
                    found[grant.subject].append(told)
            return found

    def is_family_revoked(self, token: str) -> bool:
        """Whether the family of this access or refresh token is gone. Raises KeyError for one never given out."""
        found = self.find_token(token)
        if found is None or found.grant is None:
            raise KeyError("no such token")
        return found.grant.revoked

    def mint_access_token(
        self,
        subject: str,
        audience: str | list[str],
        scope: str = "openid",
        expires_in: int = 3600,
        client_id: str = "minted",
        **claims: Any,
    ) -> str:
        """A JWT access token (RFC 9068) without any grant, also taken by userinfo; `claims` win over the usual."""
        return self._mint(
            self.sign_access_token(subject, audience, scope, expires_in, client_id, claims),
            AccessToken("", subject, client_id, scope, self.clock.now() + expires_in, None),
        )

    def mint_opaque_token(
        self, subject: str, audience: str, scope: str = "openid", expires_in: int = 3600, client_id: str = "minted"
    ) -> str:
        """An access token without any grant that tells nothing by itself; introspection does."""
        end = self.clock.now() + expires_in
        return self._mint(secrets.token_urlsafe(32), AccessToken("", subject, client_id, scope, end, None, (audience,)))

    def _mint(self, value: str, token: AccessToken) -> str:
        with self.lock:
            self._access[value] = replace(token, value=value)
        return value

    def sign_access_token(
        self,
        subject: str,
        audience: str | list[str],
        scope: str,
        expires_in: int,
        client_id: str,
        claims: dict[str, Any],
    ) -> str:
        """A signed JWT access token (RFC 9068 section 2.2); keeps nothing."""
        now = int(self.clock.now())
        usual = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now + expires_in,
            "jti": secrets.token_hex(16),
            "client_id": client_id,
            "azp": client_id,
            "scope": scope,
        }
        return self.keys.sign(usual | claims, typ="at+jwt")
