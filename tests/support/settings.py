"""Settings with which a store may start, to be changed by one test at a time."""

from __future__ import annotations

CRYPTOKEY = "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f"


def good_settings(**changes: object) -> dict[str, object]:
    """The least that production asks for; a change to None takes a setting out."""
    settings: dict[str, object] = {
        "PUBLIC_URL": "https://store.example.org",
        "SECRET_KEY": "a-secret-key-of-the-tests",
        "CRYPTOKEY": CRYPTOKEY,
        "OIDC_DISCOVERY_URL": "https://login.example.org/.well-known/openid-configuration",
        "OIDC_CLIENT_ID": "store",
        "OIDC_CLIENT_SECRET": "secret-at-login",
    }
    return {name: value for name, value in (settings | changes).items() if value is not None}


def token_provider(provider_id: str, **changes: object) -> dict[str, object]:
    """A usable token provider, with `changes` by row name."""
    rows: dict[str, object] = {
        "DISCOVERY_URL": "https://idp.example.org/.well-known/openid-configuration",
        "CLIENT_ID": "store-there",
        "CLIENT_SECRET": "secret-there",
    }
    start = provider_id.upper().replace("-", "_")
    return {f"{start}_{name}": value for name, value in (rows | changes).items() if value is not None}
