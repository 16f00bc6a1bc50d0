"""CPU time of one request inside the process, without a server or a socket: the WSGI call alone."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask

REQUESTS = 400
"""Requests per round."""


def environ(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The WSGI environment of a GET on loopback; `path` may have a query."""
    address, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": address,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }


def cpu_per_request(app: Flask, path: str, headers: Mapping[str, str]) -> float:
    """Microseconds of this thread's CPU time per `GET path`, mean of a round. Raises RuntimeError if one is not 200."""
    return cpu_of(app, [environ(path, headers)] * REQUESTS)


def cpu_of(app: Flask, requests: Sequence[Mapping[str, Any]]) -> float:
    """The same of these requests, each asked for once."""
    statuses: list[str] = []

    def start_response(status: str, *_: Any) -> Any:
        statuses.append(status)

    began = time.thread_time()
    for request in requests:
        for part in app.wsgi_app(dict(request), start_response):
            len(part)
    spent = time.thread_time() - began
    if set(statuses) != {"200 OK"}:
        raise RuntimeError(f"unexpected answers: {sorted(set(statuses))}")
    return spent / len(requests) * 1e6


def in_turn(rounds: int, apps: Mapping[str, tuple[Flask, str, Mapping[str, str]]]) -> dict[str, list[float]]:
    """Rounds of all applications in turn, so that a drifting machine touches all alike; the first round is dropped."""
    figures: dict[str, list[float]] = {name: [] for name in apps}
    for turn in range(rounds + 1):
        for name, (app, path, headers) in apps.items():
            figure = cpu_per_request(app, path, headers)
            if turn:
                figures[name].append(figure)
    return figures


def median_ratio(figures: Mapping[str, list[float]], name: str, base: str) -> float:
    """Median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(figures[name], figures[base], strict=True))
