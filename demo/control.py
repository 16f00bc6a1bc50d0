"""The control endpoint of a provider: knobs, clock, call log and grants, for whoever holds the control key of the run.

With it a provider in another process can be arranged and looked at as one in this process can by its `state`.
"""

from __future__ import annotations

import dataclasses
import hmac
from typing import Any

from flask import Response, jsonify, request

from demo.knobs import Fault
from demo.state import ProviderState


class Control:
    """The view; the key is sent as `X-Control-Key`.

    GET tells the knobs that are on and the calls from number `since`. POST carries out an order, a JSON object, before:

    clear      true, or the fault to be turned off
    fault      the fault to be turned on, with `value`, `times` and `fail_at`
    advance    seconds that pass at once
    grant      how many people get an account and allow the first client its `scope`; answered by `granted`, their
               subjects and refresh tokens
    again      subjects of people who allow it once more; answered in the same way
    families   subjects; answered by `families`, the grants of each: whether it is revoked, how often it was met by a
               used refresh token, and how many refresh tokens of it would be taken
    """

    def __init__(self, state: ProviderState) -> None:
        self._state = state

    def __call__(self) -> Response:
        """Answer one request."""
        if not hmac.compare_digest(request.headers.get("X-Control-Key", "").encode(), self._state.control_key.encode()):
            return _refusal(403, "access_denied", "the control key is missing")
        told: dict[str, Any] = {}
        if request.method == "POST":
            try:
                told = self._carry_out(request.get_json())
            except (KeyError, TypeError, ValueError) as problem:
                return _refusal(400, "invalid_request", str(problem))
        knobs = {fault: _plain(knob) for fault, knob in self._state.knobs.on().items()}
        since = int(request.args.get("since", 0))
        calls = [_plain(call) for call in self._state.calls.all()[since:]]
        return jsonify(knobs=knobs, calls=calls, **told)

    def _carry_out(self, order: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if order.get("clear"):
            self._state.knobs.clear(None if order["clear"] is True else Fault(order["clear"]))
        if "fault" in order:
            value, times, fail_at = order.get("value", True), order.get("times"), order.get("fail_at")
            self._state.knobs.set(Fault(order["fault"]), value, times=times, fail_at=fail_at)
        if "advance" in order:
            self._state.clock.advance(float(order["advance"]))
        if "grant" in order:
            told["granted"] = self._state.grant_to_many(int(order["grant"]), str(order["scope"]))
        if "again" in order:
            told["granted"] = self._state.grant_again(order["again"], str(order["scope"]))
        if "families" in order:
            told["families"] = self._state.families(order["families"])
        return told


def _plain(value: Any) -> dict[str, Any]:
    return {
        name: sorted(item) if isinstance(item, frozenset) else item for name, item in dataclasses.asdict(value).items()
    }


def _refusal(status: int, code: str, description: str) -> Response:
    response = jsonify(error=code, error_description=description)
    response.status_code = status
    return response
