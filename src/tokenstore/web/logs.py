"""How log records become lines: one JSON object per event with UTC time and request id, redacted.

Everything logs through the standard library (`logging.getLogger(__name__)`, fields by `extra=`); this is the one
place that says how it looks and what it may not hold.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from tokenstore.web.jsontext import json_text
from tokenstore.web.redaction import redact_event
from tokenstore.web.requests import request_id

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

_HANDLER = "tokenstore"
# Below INFO these write code verifiers, headers and request bodies.
_TALKATIVE = ("authlib", "httpcore", "urllib3", "werkzeug")
# What a record holds besides the fields of its event: its attributes, and what other formatters leave on it.
_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def init_logs(level: str, *, development: bool = False, stream: TextIO = sys.stderr) -> None:
    """Sends all logging of the process to `stream`: JSON lines, or readable lines in development.

    `level` is a name of the standard library (`INFO`). Calling it again replaces what the last call set up.
    """
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER)
    handler.setFormatter(formatter(development=development))
    # Not in our lines, and looked up anew for each record ("Optimization" in Python's logging guide). The process is:
    # Gunicorn's own lines hold its number.
    logging.logThreads = logging.logMultiprocessing = False
    root = logging.getLogger()
    for old in [held for held in root.handlers if held.get_name() == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))


def formatter(*, development: bool = False) -> logging.Formatter:
    """What makes a line of a record, for handlers of other processes' making (the web server's own, say).

    Tracebacks carry no local variables, and are redacted like all else.
    """
    return _development_formatter() if development else JsonLines()


class JsonLines(logging.Formatter):
    """One JSON object per record, in ASCII, so that nothing in it can begin another line.

    By hand: each hand-out writes a line, and structlog's formatter, which copies every record, costs more than the
    rest of one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        event = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        event["event"] = record.getMessage()
        if name := request_id():
            event["request_id"] = name
        event["logger"] = record.name
        event["level"] = record.levelname.lower()
        instant = datetime.fromtimestamp(record.created, UTC)
        event["timestamp"] = instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            event["stack"] = record.stack_info
        return json_text(redact_event(event))


def _development_formatter() -> logging.Formatter:
    import structlog  # here, as it is much to load and serves nothing else

    console = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _add_request_id,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            _escape_controls,
            console,
        ],
    )


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if name := request_id():
        event["request_id"] = name
    return event


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.pop("message", None)  # `event` again, left on the record by any other handler
    return redact_event(dict(event))


def _escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keeps an event on its line and its colours out of the terminal; JSON does so by itself."""
    return {key: value if key == "exception" else _escaped(value) for key, value in event.items()}


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
