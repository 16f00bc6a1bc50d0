"""Addresses in tests: reading and changing their queries."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def query_of(url: str) -> dict[str, str]:
    """The query parameters of a URL, of repeated ones the last."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def with_query(url: str, **changes: str | None) -> str:
    """The URL with some parameters changed; None leaves one out."""
    wanted = {name: value for name, value in {**query_of(url), **changes}.items() if value is not None}
    return urlunsplit(urlsplit(url)._replace(query=urlencode(wanted)))
