"""Which parts of a log line are secrets. Text in, text out; the log set-up applies it to everything written.

Three nets: names that hold secrets, shapes that tokens have, and the exact credentials of the current request.
"""

from __future__ import annotations

import base64
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed.wsgi import WSGIEnvironment

MASK = "[redacted]"

_NAMES = (
    "access_token", "refresh_token", "id_token", "id_token_hint", "code", "code_verifier", "client_secret",
    "client_assertion", "assertion", "state", "csrf_token", "password", "secret_key", "cryptokey",
)  # fmt: skip
_HEADERS = ("authorization", "proxy-authorization", "cookie", "set-cookie", "x-csrf-token", "x-api-key")
_MASKED_KEYS = frozenset(_NAMES) | frozenset(_HEADERS) | {name.replace("-", "_") for name in _HEADERS}
# Ours, in every event; an id may look like a secret and is needed to follow a request through the log.
_PLAIN_KEYS = frozenset({"request_id", "timestamp", "level", "logger"})
# Credentials shorter than this, in characters, are no secrets, and masking them would spoil the text.
_SHORTEST = 8

_NAME = "|".join(_NAMES)
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A header line, as libraries print them: all of it up to the end of the line.
    (re.compile(rf"(?i)\b({'|'.join(_HEADERS)})(\W{{1,4}})[^\r\n]+"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic|dpop)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    # name=value of forms and queries, "name": "value" of JSON and of printed dictionaries.
    (re.compile(rf"(?i)\b({_NAME})=[^\s&;,'\"<>)\]}}]+"), rf"\1={MASK}"),
    (re.compile(rf"(?i)(['\"])({_NAME})\1(\s*:\s*)(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"), rf"\1\2\1\3'{MASK}'"),
    (re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,4}"), MASK),
    (re.compile(r"\b(?:gh[oprsu]_|github_pat_|glpat-|xox[abeoprs]-|ya29\.)[\w.-]{8,}"), MASK),
    # Long base64url or hex: at least 32 characters with a digit, so that long names of functions survive.
    (re.compile(rf"(?<![\w-])(?!{_UUID})(?=[\w-]*\d)[\w-]{{32,}}={{0,2}}"), MASK),
)

# Short words and UUIDs: most values there are, and nothing that a rule could recognise.
_PLAIN = re.compile(rf"[\w.-]{{0,15}}+|{_UUID}")

_seen: ContextVar[Sequence[str]] = ContextVar("secrets of the current request", default=())


def note_request_secrets(environ: WSGIEnvironment) -> None:
    """Remembers the credentials that come with a request, so that nothing logged while it runs repeats them."""
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    values = [credentials]
    if scheme.lower() == "basic":
        values.append(_password(credentials))
    if key := environ.get("HTTP_X_API_KEY"):
        values.append(key)
    if cookies := environ.get("HTTP_COOKIE"):
        values += [pair.partition("=")[2] for pair in cookies.split("; ")]
    if query := environ.get("QUERY_STRING"):
        values += [value for name, value in parse_qsl(query) if name in _MASKED_KEYS]
    _seen.set([value for value in values if len(value) >= _SHORTEST])


def _password(credentials: str) -> str:
    """The password in Basic credentials; empty if they are none."""
    try:
        return base64.b64decode(credentials).decode().partition(":")[2]
    except ValueError:
        return ""


def redact_text(text: str) -> str:
    """The text with everything masked that is, or looks like, a secret."""
    for secret in _seen.get():
        text = text.replace(secret, MASK)
    if _PLAIN.fullmatch(text):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_event(event: dict[str, Any]) -> dict[str, Any]:
    """A log event with its values redacted, whatever their types; values that JSON does not know become text."""
    return {key: value if value is None or key in _PLAIN_KEYS else _value(key, value) for key, value in event.items()}


def _value(key: object, value: object) -> object:
    if value is None:
        return None
    if str(key).lower() in _MASKED_KEYS:
        return MASK
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return {redact_text(str(inner)): _value(inner, held) for inner, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value("", held) for held in value]
    return redact_text(str(value))
