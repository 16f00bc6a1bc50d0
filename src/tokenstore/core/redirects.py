"""Where a browser may be sent back to after linking, login, logout or an error.

Owns the grammar of return addresses and of the origins that settings may list. It only judges text: nothing is
decoded, resolved or rewritten, so that what was judged is what the browser gets. The audit of a refusal and the
answer to a program are the caller's business.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

_VISIBLE = re.compile(r"[!-\[\]-~]{1,2048}")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*")
# Percent-encoded characters that would give one path a second spelling, or another meaning once decoded:
# controls, DEL, "/", "\", "%" and the unreserved characters of RFC 3986 section 2.3.
_ALIAS = re.compile(r"%(?:[01].|7F|2F|5C|25|2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
_ACTIONS = ("/api", "/oidc")

_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:]+\])(?::(?P<port>[1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Choice:
    """Where to go: `url` as given, or the landing page; `refused`: an address was offered and may not be used."""

    url: str
    refused: bool


@dataclass(frozen=True, slots=True)
class ReturnUrlPolicy:
    """Says which return addresses are ours to use.

    own_origin        scheme, host and port of PUBLIC_URL; a path may be given with or without it
    own_path          path of PUBLIC_URL without its last slash, empty if it has none
    allowed_origins   RETURN_URL_ORIGINS
    reserved_prefixes our own routes that are no pages, as the router spells them, without `own_path`

    Raises ValueError if an origin is not one, or the path not a plain one.
    """

    own_origin: str
    own_path: str = ""
    allowed_origins: tuple[str, ...] = ()
    reserved_prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for origin in (self.own_origin, *self.allowed_origins):
            if problem := origin_problem(origin):
                raise ValueError(f"{origin!r} {problem}")
        if self.own_path and (not _is_canonical(self.own_path) or self.own_path.endswith("/")):
            raise ValueError(f"{self.own_path!r} is not a plain path without a slash at its end")

    @property
    def landing(self) -> str:
        """The default landing page, a path on our own origin."""
        return self.own_path + "/"

    def choose(self, candidate: str | None, referer: str | None = None) -> Choice:
        """The very string given if it is allowed, else the landing page.

        `referer` counts only when no candidate was given; with neither, the landing page is chosen and nothing was
        refused.
        """
        offered = referer if candidate is None else candidate
        if offered is None:
            return Choice(self.landing, refused=False)
        if self.allows(offered):
            return Choice(offered, refused=False)
        return Choice(self.landing, refused=True)

    def allows(self, candidate: str) -> bool:
        """Whether a browser on our origin may be sent to exactly this string."""
        if not _VISIBLE.fullmatch(candidate) or _BARE_PERCENT.search(candidate):
            return False
        if candidate.startswith("/"):
            return self._is_own_page(candidate)
        if candidate == self.own_origin or candidate in self.allowed_origins:
            return True
        if candidate.startswith(self.own_origin + "/"):
            return self._is_own_page(candidate.removeprefix(self.own_origin))
        return any(
            candidate.startswith(origin + "/") and _is_page(_path_of(candidate.removeprefix(origin)))
            for origin in self.allowed_origins
        )

    def _is_own_page(self, reference: str) -> bool:
        actions = (self.own_path + prefix for prefix in (*_ACTIONS, *self.reserved_prefixes))
        path = _path_of(reference)
        return _is_page(path) and not any(_is_under(path, action) for action in actions)


def origin_problem(text: str) -> str | None:
    """What keeps a text from being an allowed origin, in words that follow its name; None if it is one.

    An origin is `https://host[:port]`, or `http` on a loopback host, in the one spelling browsers use: lower case, no
    userinfo, wildcard, trailing dot, default port, path or slash (RFC 6454 section 6.2, narrowed).
    """
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return "is not an origin: write scheme://host[:port] in lower case, with nothing before or after it"
    scheme, host, port = match["scheme"], match["host"], int(match["port"] or 0)
    if port == _DEFAULT_PORTS[scheme]:
        return f"names the default port: leave :{port} out"
    if port > 65535:
        return "has a port above 65535"
    address = _address(host)
    if address is None and not _is_name(host):
        return "has a host that is neither a plain name nor an address in its usual spelling"
    if scheme == "http" and not (host == "localhost" or (address is not None and address.is_loopback)):
        return "is plain http and not on this machine: use https"
    return None


def with_result(url: str, result: Mapping[str, str]) -> str:
    """A return address with these parameters at the end of its query; nothing else of it changes."""
    address, hash_sign, fragment = url.partition("#")
    mark = "&" if "?" in address else "?"
    return f"{address}{mark}{urlencode(result)}{hash_sign}{fragment}"


def _is_page(path: str) -> bool:
    """Whether a path may be returned to on any origin: an allowed one may be this very store under another name."""
    return _is_canonical(path) and not any(_is_under(path, action) for action in _ACTIONS)


def _is_canonical(path: str) -> bool:
    """Whether a text is an absolute path (RFC 3986 section 3.3) in the one spelling it has."""
    if not _PATH.fullmatch(path) or _ALIAS.search(path) or "//" in path:
        return False
    return not any(segment in (".", "..") for segment in path.split("/"))


def _path_of(reference: str) -> str:
    return reference.partition("#")[0].partition("?")[0]


def _is_under(path: str, prefix: str) -> bool:
    return (path.lower() + "/").startswith(prefix.lower().rstrip("/") + "/")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a host spells in the canonical way, else None."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    canonical = f"[{address}]" if address.version == 6 else str(address)
    return address if host == canonical else None


def _is_name(host: str) -> bool:
    # WHATWG URL reads a host whose last label is a number as an IPv4 address in a foreign spelling.
    labels = host.split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels) and not _NUMBER.fullmatch(labels[-1])
