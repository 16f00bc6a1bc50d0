"""F-LOG: no secret in the log, one line per event whatever the input."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from support.web import small_app
from tokenstore.web.logs import init_logs

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
CONTROLS = [
    "a\nb",
    "a\r\nb",
    "a\x1b[31mred",
    "a\x00b",
    "a\u2028b",
    "a\u0085b",
    "a\x0bb",
    "a\x0cb",
    "a\x1cb",
    "a\u2029b",
]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before once the test is over."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    for handler in [held for held in logger.handlers if held not in handlers]:
        logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def log(root: logging.Logger) -> io.StringIO:
    """Everything logged from now on, as JSON lines."""
    del root
    stream = io.StringIO()
    init_logs("INFO", stream=stream)
    return stream


def only_event(log: io.StringIO) -> dict[str, Any]:
    (line,) = log.getvalue().splitlines()
    event: dict[str, Any] = json.loads(line)
    return event


def raise_with(text: str) -> None:
    """Fails with the text in its message and in its local variables."""
    local_copy = text
    raise ValueError(f"cannot read {local_copy}")


@pytest.mark.asvs("16.2.2")
@pytest.mark.asvs("16.2.4")
def test_event_is_one_json_object_with_utc_time_level_and_fields(log: io.StringIO) -> None:
    logging.getLogger("tokenstore.x").info("hand-out", extra={"link": "l-1"})
    event = only_event(log)
    assert (event["event"], event["level"], event["logger"], event["link"]) == (
        "hand-out",
        "info",
        "tokenstore.x",
        "l-1",
    )
    assert event["timestamp"].endswith("Z")


@pytest.mark.asvs("16.4.1")
@pytest.mark.parametrize("text", CONTROLS)
def test_control_characters_cannot_begin_another_line(log: io.StringIO, text: str) -> None:
    logging.getLogger("tokenstore.x").info("said %s", text, extra={"field": text})
    assert only_event(log)["field"] == text


@pytest.mark.parametrize("text", CONTROLS)
def test_control_characters_cannot_begin_another_line_in_development(root: logging.Logger, text: str) -> None:
    del root
    stream = io.StringIO()
    init_logs("INFO", development=True, stream=stream)
    logging.getLogger("tokenstore.x").info("said %s", text, extra={"field": text})
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("development", [False, True])
def test_traceback_shows_neither_secrets_nor_locals(root: logging.Logger, development: bool) -> None:
    del root
    stream = io.StringIO()
    init_logs("INFO", development=development, stream=stream)
    try:
        raise_with(JWT)
    except ValueError:
        logging.getLogger("tokenstore.x").exception("failed")
    assert "raise_with" in stream.getvalue()
    assert JWT not in stream.getvalue()
    assert "local_copy" not in stream.getvalue().replace("{local_copy}", "")


@pytest.mark.parametrize("name", ["authlib", "httpcore", "urllib3", "werkzeug"])
def test_talkative_libraries_say_nothing_below_info(root: logging.Logger, name: str) -> None:
    del root
    stream = io.StringIO()
    init_logs("DEBUG", stream=stream)
    logging.getLogger(f"{name}.inner").debug("code_verifier v-1")
    assert stream.getvalue() == ""


def test_events_of_a_request_carry_its_id(log: io.StringIO) -> None:
    app = small_app()

    @app.get("/")
    def speak() -> str:
        logging.getLogger("tokenstore.x").info("spoken")
        return "said"

    answer = app.test_client().get("/")
    assert only_event(log)["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Authorization": "Bearer canary-credential"}, "/"),
        ({"Cookie": "tokenstore=canary-credential"}, "/"),
        ({}, "/?code=canary-credential"),
        ({}, "/?state=canary-credential"),
    ],
)
def test_credentials_of_the_request_are_masked_wherever_they_turn_up(
    log: io.StringIO, headers: dict[str, str], path: str
) -> None:
    app = small_app()

    @app.get("/")
    def fail() -> str:
        raise RuntimeError("the library says canary-credential is odd")

    app.test_client(use_cookies=False).get(path, headers=headers)
    assert "the library says" in log.getvalue()
    assert "canary-credential" not in log.getvalue()


def test_setting_logs_up_twice_writes_each_event_once(log: io.StringIO) -> None:
    init_logs("INFO", stream=log)
    logging.getLogger("tokenstore.x").info("once")
    assert only_event(log)["event"] == "once"
