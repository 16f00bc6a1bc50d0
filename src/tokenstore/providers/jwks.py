"""Key sets (RFC 7517): which public keys a provider signs with, fetched, narrowed to what may verify, kept.

Only asymmetric keys for signatures are kept, and of each only its public members. A token never brings its key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from tokenstore.core.model import Provider
from tokenstore.errors import ProviderMisconfigured
from tokenstore.providers.cached import Cached, Clock, Freshness
from tokenstore.providers.discovery import Discovery, fetch_object
from tokenstore.providers.settings import prefix
from tokenstore.providers.transport import Transport

_MAX_KEYS = 100
_RSA_BITS = range(2048, 8193)
_MAX_EXPONENT = 2**32
_PUBLIC_MEMBERS = ("kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y")
# A token with a made-up key id must not make us ask the provider each time.
_RELOAD_AFTER_SECONDS = 30.0

ALGORITHM_KEYS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""The signature algorithms that may be allowed at all, with the key type and curve of each (RFC 7518, RFC 8037)."""


class KeySource(Protocol):
    """Where a verifier finds keys."""

    def find(self, algorithm: str, key_id: str | None) -> Sequence[Key]:
        """Keys that may verify a signature of this algorithm under this `kid`; empty if there is none."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys that are given."""

    keys: tuple[Key, ...]

    def find(self, algorithm: str, key_id: str | None) -> Sequence[Key]:
        """The keys of that `kid` which fit the algorithm; without a `kid` the only one that fits, if it is the only."""
        fitting = self.fitting(algorithm)
        if key_id is None:
            return fitting if len(fitting) == 1 else ()
        return [key for key in fitting if key.kid == key_id]

    def fitting(self, algorithm: str) -> Sequence[Key]:
        """The keys that this algorithm may use, whatever their `kid`."""
        return [key for key in self.keys if _fits(key, algorithm)]


def read_key_set(document: Mapping[str, Any]) -> KeySet:
    """The usable keys of a JWK set; what is malformed, symmetric, too small or not for signatures is left out."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        return KeySet(())
    keys = (_usable_key(entry) for entry in entries[:_MAX_KEYS])
    return KeySet(tuple(key for key in keys if key is not None))


class RemoteKeys:
    """The keys that one provider publishes, asked again for an unknown `kid`, though not often."""

    def __init__(self, cached: Cached[KeySet]) -> None:
        self._cached = cached

    def find(self, algorithm: str, key_id: str | None) -> Sequence[Key]:
        """As KeySource; raises ProviderUnavailable or ProviderMisconfigured when no key set can be had."""
        return self._cached.get().find(algorithm, key_id) or self._cached.newer_than(_RELOAD_AFTER_SECONDS).find(
            algorithm, key_id
        )


class KeySets:
    """The key sources of all providers. Thread-safe."""

    def __init__(
        self,
        transport: Transport,
        discovery: Discovery,
        freshness: Freshness | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._transport = transport
        self._discovery = discovery
        self._freshness = freshness
        self._clock = clock
        self._sources: dict[str, RemoteKeys] = {}
        self._lock = threading.Lock()

    def of(self, provider: Provider) -> RemoteKeys:
        """The keys of this provider; nothing is fetched yet."""
        with self._lock:
            if provider.id not in self._sources:
                self._sources[provider.id] = RemoteKeys(
                    Cached(lambda: self._load(provider), self._freshness, self._clock)
                )
            return self._sources[provider.id]

    def _load(self, provider: Provider) -> KeySet:
        url = self._discovery.metadata(provider).endpoints.jwks
        if url is None:
            raise ProviderMisconfigured(
                f"No key set of {provider.called} is known. The operator of this service has to set "
                f"{prefix(provider.id)}JWKS_URL.",
                debug="no jwks_uri",
            )
        return read_key_set(fetch_object(self._transport, provider, url, what="keys"))


def _usable_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    public = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    try:
        key = JWKRegistry.import_key(public)
        usable = _is_for_signatures(public) and _is_sound(key)
    except (JoseError, ValueError, TypeError, KeyError, ArithmeticError):
        return None
    return key if usable else None


def _is_for_signatures(members: Mapping[str, Any]) -> bool:
    return members.get("use", "sig") == "sig" and "verify" in members.get("key_ops", ["verify"])


def _is_sound(key: Key) -> bool:
    if not isinstance(key, RSAKey):
        return True
    public = key.public_key
    return public.key_size in _RSA_BITS and public.public_numbers().e <= _MAX_EXPONENT


def _fits(key: Key, algorithm: str) -> bool:
    key_type, curve = ALGORITHM_KEYS[algorithm]
    if key.key_type != key_type or key.alg not in (None, algorithm):
        return False
    return curve is None or (isinstance(key, ECKey | OKPKey) and key.curve_name == curve)
