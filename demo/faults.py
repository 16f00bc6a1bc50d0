"""Applies the knobs and writes the call log: everything a provider does wrong happens here or by asking here.

The endpoints themselves stay honest; where a fault has to reach into them they ask `struck`.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from urllib.parse import urlencode

from flask import Flask, Response, current_app, g, jsonify, request

from demo.knobs import ENDPOINTS, Fault, FaultValue
from demo.state import ProviderState

_HANG_LIMIT = 120.0
_CHUNK = 64 * 1024


class ConnectionDroppedError(ConnectionAbortedError):
    """Ends a request by closing its connection; the server knows it as a connection that is gone."""


def provider_state() -> ProviderState:
    """The state of the provider that handles the present request."""
    state = current_app.extensions["provider"]
    if not isinstance(state, ProviderState):
        raise TypeError("not an application of ours")
    return state


def struck(fault: Fault) -> FaultValue | None:
    """The value of a fault that strikes the present request; asked twice it answers the same."""
    taken: dict[Fault, FaultValue | None] = g.setdefault("faults", {})
    if fault not in taken:
        taken[fault] = provider_state().knobs.take(fault, request.endpoint or "")
    return taken[fault]


def install_faults(app: Flask) -> None:
    """Let the knobs of the application's provider act on every endpoint that has a name in the knobs."""
    app.before_request(_before)
    app.after_request(_after)


def _before() -> Response | None:
    if request.endpoint not in ENDPOINTS:
        return None
    state = provider_state()
    parameters = [*request.args.items(multi=True), *request.form.items(multi=True)]
    g.call = state.calls.begin(state.clock.now(), request.endpoint, parameters)
    latency = struck(Fault.LATENCY)
    if latency is not None:
        state.stopping.wait(float(latency))
    if struck(Fault.HANG) is not None:
        state.stopping.wait(_HANG_LIMIT)
        raise _dropped()
    if struck(Fault.DROP_BEFORE) is not None:
        raise _dropped()
    return _answer_in_place()


def _answer_in_place() -> Response | None:
    """The answer of a fault that stands in for the endpoint, or None."""
    location = struck(Fault.REDIRECT)
    if location is not None:
        return Response(status=307, headers={"Location": str(location)})
    status = struck(Fault.STATUS)
    if status is not None:
        return Response("out of order\n", int(status), _retry_after(), mimetype="text/plain")
    if struck(Fault.HTML_BODY) is not None:
        return Response("<!doctype html><title>Welcome</title><p>Please sign in to the network.", mimetype="text/html")
    text = struck(Fault.BODY)
    if text is not None:
        return Response(str(text), mimetype="application/json")
    size = struck(Fault.HUGE_BODY)
    if size is not None:
        return Response(_huge(int(size)), mimetype="application/json", headers={"Content-Length": str(int(size))})
    code = struck(Fault.ERROR)
    if code is not None:
        answer = jsonify(error=str(code), error_description="on demand")
        answer.status_code = 401 if code == "invalid_client" else 400
        return answer
    return None


def _retry_after() -> dict[str, str]:
    seconds = struck(Fault.RETRY_AFTER)
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _huge(size: int) -> Iterator[bytes]:
    yield b'{"access_token":"'
    left = size - 19
    while left > 0:
        yield b"a" * min(left, _CHUNK)
        left -= _CHUNK
    yield b'"}'


def _after(response: Response) -> Response:
    if "call" not in g:
        return response
    body = response.get_json(silent=True) if response.is_json and not response.is_streamed else None
    error = body.get("error") if isinstance(body, dict) else None
    if error and (struck(Fault.ERROR_WITH_200) is not None or provider_state().config.kind == "oauth2"):
        response.status_code = 200
    if isinstance(body, dict) and _wants_form():
        response.set_data(urlencode(body))
        response.mimetype = "application/x-www-form-urlencoded"
    state = provider_state()
    if struck(Fault.DROP_AFTER) is not None:
        raise _dropped()
    state.calls.finish(g.call, str(error or response.status_code), state.clock.now())
    latency = struck(Fault.LATENCY_AFTER)
    if latency is not None:
        state.stopping.wait(float(latency))
    return _badly_sent(response)


def _badly_sent(response: Response) -> Response:
    """The answer as it goes over the wire, whatever was done."""
    pause, truncated = struck(Fault.DRIP), struck(Fault.TRUNCATED)
    if pause is not None or truncated is not None:
        whole = response.get_data()
        part = whole if truncated is None else whole[: len(whole) // 2]
        response.response = _dripping(part, float(pause or 0), provider_state().stopping)
        response.headers["Content-Length"] = str(len(whole))
    return response


def _dripping(content: bytes, pause: float, stopping: Event) -> Iterator[bytes]:
    for position in range(len(content)):
        if stopping.wait(pause):
            return
        yield content[position : position + 1]


def _wants_form() -> bool:
    if struck(Fault.FORM_ENCODED) is not None:
        return True
    asked = "json" in request.headers.get("Accept", "")
    return provider_state().config.kind == "oauth2" and request.endpoint == "token" and not asked


def _dropped() -> ConnectionDroppedError:
    state = provider_state()
    state.calls.finish(g.call, "dropped", state.clock.now())
    return ConnectionDroppedError("closed on demand")
