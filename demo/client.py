"""A program that talks to the store's API: one request at a time, over real HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store answered; header names are compared without regard to case."""

    status: int
    headers: Message
    text: str

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.text)

    @property
    def slug(self) -> str | None:
        """The name of the problem that this answer is (RFC 9457), None if it is none."""
        if self.headers.get_content_type() != "application/problem+json":
            return None
        return str(self.json()["type"]).rpartition("/")[2]


def call(
    base: str,
    method: str,
    path: str,
    *,
    bearer: str | None = None,
    json_body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request, `path` below `base` as it is written; redirects are not followed. `timeout` in seconds.

    `tls` says whom to trust at an https address.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    if bearer is not None:
        sent["Authorization"] = f"Bearer {bearer}"
    body = None
    if json_body is not None:
        body = json.dumps(json_body).encode()
        sent.setdefault("Content-Type", "application/json")
    place = urlsplit(base)
    connection = (
        http.client.HTTPSConnection(place.netloc, timeout=timeout, context=tls)
        if place.scheme == "https"
        else http.client.HTTPConnection(place.netloc, timeout=timeout)
    )
    try:
        connection.request(method, place.path + path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode("utf-8", "replace"))
    finally:
        connection.close()
