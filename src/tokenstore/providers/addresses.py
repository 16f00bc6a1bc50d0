"""Which addresses the store may call: URLs judged as text, network addresses judged after resolution.

Pure: resolving and dialling are `network`'s business.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from tokenstore.providers.checks import is_loopback

_VISIBLE = re.compile(r"[!-\[\]-~]{1,2048}")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Reachable through what else counts as private or public, and never an identity provider.
_METADATA = frozenset(ipaddress.ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "fd00:ec2::254"))

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(ValueError):
    """A URL or network address that the store does not call. The message is for our log and holds no URL."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: `host` without brackets in lower case, `path` with its query, never a fragment."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


class _Reach(Enum):
    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    NEVER = "never"


class AddressPolicy:
    """Judges URLs and addresses.

    https anywhere public. Loopback, plain http included, where the host is written so: `localhost`, `127.0.0.1`,
    `::1`. Private and loopback addresses, plain http included, for the names in `allow_private_hosts`. Link-local,
    metadata, multicast, unspecified and reserved addresses never.
    """

    def __init__(self, allow_private_hosts: Collection[str] = ()) -> None:
        self._private_hosts = frozenset(host.strip("[]").lower() for host in allow_private_hosts)

    def target(self, url: str) -> Target:
        """Take a URL apart; raises AddressRefused for one that is malformed or must not be called."""
        if not _VISIBLE.fullmatch(url):
            raise AddressRefused("the URL holds characters that no URL has")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as exc:
            raise AddressRefused("the URL is malformed") from exc
        if parts.scheme not in ("https", "http"):
            raise AddressRefused("the URL is neither https nor http")
        if "@" in parts.netloc or parts.fragment or not _is_host(host) or port == 0:
            raise AddressRefused("the URL has user information, a fragment, or no proper host")
        if parts.scheme == "http" and not is_loopback(host) and host not in self._private_hosts:
            raise AddressRefused("plain http is for loopback and for hosts in ALLOW_PRIVATE_HOSTS")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port or _default_port(parts.scheme), path)

    def check(self, host: str, addresses: Sequence[str]) -> tuple[str, ...]:
        """The addresses in their usual spelling, all of which may be dialled for this host.

        Raises AddressRefused if there is none or one of them must not be dialled: a name with one public and one
        private address is a rebinding attempt.
        """
        accepted = {_Reach.PUBLIC}
        if is_loopback(host):
            accepted = {_Reach.LOOPBACK}
        elif host in self._private_hosts:
            accepted = {_Reach.PUBLIC, _Reach.PRIVATE, _Reach.LOOPBACK}
        parsed = [_parse(address) for address in addresses]
        if not parsed or any(_reach(address) not in accepted for address in parsed):
            raise AddressRefused("the host has an address that is not called: ALLOW_PRIVATE_HOSTS lists exceptions")
        return tuple(str(address) for address in parsed)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= 253 and ".." not in host and _NAME.fullmatch(host) is not None
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _parse(text: str) -> IpAddress:
    try:
        return ipaddress.ip_address(text)
    except ValueError as exc:
        raise AddressRefused("the resolver gave something that is no address") from exc


def _reach(address: IpAddress) -> _Reach:
    address = _embedded(address)
    if address in _METADATA or address.is_multicast or address.is_unspecified or address.is_link_local:
        return _Reach.NEVER
    if address.is_loopback:
        return _Reach.LOOPBACK
    if address.is_reserved or (isinstance(address, ipaddress.IPv6Address) and (address.sixtofour or address.teredo)):
        return _Reach.NEVER
    return _Reach.PUBLIC if address.is_global else _Reach.PRIVATE


def _embedded(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv4-mapped or NAT64 (RFC 6052) address leads to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
