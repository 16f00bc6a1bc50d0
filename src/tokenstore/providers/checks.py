"""What single values of provider settings have to be: addresses, hosts, scopes, parameters, rotation.

Pure. A check returns what is wrong in words that follow the setting's name, or None.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from tokenstore.core.model import Rotation, RotationKind

_VISIBLE = re.compile(r"[!-\[\]-~]+")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])")
_FIELD_PATH = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")
_GRACE = re.compile(r"grace\(([0-9]{1,7})\)")
_WELL_KNOWN = re.compile(r"(https?://[^/]+)(/.*)?/\.well-known/(openid-configuration|oauth-authorization-server)(/.*)?")

OUR_REDIRECT_URI = "{redirect_uri}"
"""What stands for the redirect URI among REFRESH_PARAMS."""

# What the store sends itself; where a setting of its own says what, that is the mend.
_AUTHORIZE_RESERVED = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "prompt",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
_TOKEN_RESERVED = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "scope",
    }
)
_OWN_SETTING = frozenset({"client_id", "client_secret", "prompt", "scope"})


def url_problem(url: str, plain_http_hosts: frozenset[str] = frozenset()) -> str | None:
    """An address that we call or compare: https, or http on loopback and the hosts given; no userinfo or fragment."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https"):
        return "is no web address: write https://host/path"
    if "@" in parts.netloc:
        return "holds a user name: take out everything before the @"
    if parts.fragment or url.endswith("#"):
        return "has a fragment: take out the # and what follows"
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host) and host not in plain_http_hosts:
        return f"is plain http: use https, or list {host} in ALLOW_PRIVATE_HOSTS if it lies in your own network"
    return None


def is_web_address(url: str) -> bool:
    """Whether a person may be sent to it: http or https with a host, in visible ASCII."""
    parts = _split(url)
    return parts is not None and parts.scheme in ("http", "https")


def is_loopback(host: str) -> bool:
    """Whether a host is written as this machine: localhost or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def issuer_of(discovery_url: str) -> str | None:
    """The issuer whose metadata stands at this address.

    OpenID Connect Discovery 1.0 section 4 puts the well-known part after the issuer's path, RFC 8414 section 3 before.
    """
    match = _WELL_KNOWN.fullmatch(discovery_url)
    if match is None:
        return None
    origin, before, _, after = match.groups()
    if before and after:
        return None
    return origin + (before or after or "")


def hosts_problem(hosts: tuple[str, ...]) -> str | None:
    """A list of host names or addresses, without scheme, port or wildcard."""
    bad = [host for host in hosts if not _HOST.fullmatch(host)]
    return f"holds {bad[0]!r}: write host names in lower case, without scheme, port or *" if bad else None


def separator_problem(separator: str) -> str | None:
    """What stands between scopes."""
    return None if separator and set(separator) <= set(" ,;") else "has to be a space, a comma or a semicolon"


def scopes_problem(scopes: tuple[str, ...]) -> str | None:
    """Scope tokens of RFC 6749 section 3.3."""
    bad = [scope for scope in scopes if not _SCOPE_TOKEN.fullmatch(scope)]
    return f"holds {bad[0]!r}: scopes are visible ASCII without quote and backslash" if bad else None


def path_problem(path: str) -> str | None:
    """A dotted path to a field of an answer."""
    return None if _FIELD_PATH.fullmatch(path) else "has to be a field name, or several joined by dots"


def authorize_params_problem(given: Mapping[str, Any]) -> str | None:
    """Parameters of the authorization request, none of them ours."""
    return _params_problem(given, _AUTHORIZE_RESERVED)


def token_params_problem(given: Mapping[str, Any]) -> str | None:
    """Parameters of the token request, none of them ours."""
    return _params_problem(given, _TOKEN_RESERVED)


def refresh_params_problem(given: Mapping[str, Any]) -> str | None:
    """Parameters of the refresh request, none of them ours; some providers want the redirect URI again."""
    return _params_problem(given, _TOKEN_RESERVED - {"redirect_uri"})


def paths_problem(paths: tuple[str, ...]) -> str | None:
    """A list of dotted paths."""
    bad = [path for path in paths if not _FIELD_PATH.fullmatch(path)]
    return f"holds {bad[0]!r}: write field names, or several joined by dots" if bad else None


def optional_path_problem(path: str) -> str | None:
    """A dotted path, or nothing."""
    return path_problem(path) if path else None


def parameters(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters that passed their check, as they go on the wire."""
    return tuple((name, str(value)) for name, value in given.items())


def rotation_problem(text: str) -> str | None:
    """`none`, `keep-old`, `grace(seconds)` or `strict`."""
    if text in ("none", "keep-old", "strict") or _GRACE.fullmatch(text):
        return None
    return f"is {text!r}: write none, keep-old, grace(seconds) or strict"


def rotation(text: str) -> Rotation:
    """The rotation that a text that passed `rotation_problem` names."""
    if match := _GRACE.fullmatch(text):
        return Rotation(RotationKind.GRACE, timedelta(seconds=int(match[1])))
    return Rotation(RotationKind(text))


def _params_problem(given: Mapping[str, Any], reserved: frozenset[str]) -> str | None:
    for name, value in given.items():
        if name in reserved:
            mend = f"use {name.upper()}" if name in _OWN_SETTING else "the store sends it itself"
            return f"may not hold {name}: {mend}"
        if not name or isinstance(value, bool) or not isinstance(value, str | int):
            return f"has an unusable {name!r}: names and values are texts"
    return None


def _split(url: str) -> SplitResult | None:
    """The parts of an absolute URL with a host, in visible ASCII; None if it is none."""
    if not _VISIBLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if usable else None
