"""What every AuditLog promises."""

from __future__ import annotations

from support.harness import ANN, Harness, unknown_link
from tokenstore.core.model import AuditEvent, Caller, CallerKind


def test_an_event_is_kept(stores: Harness) -> None:
    of = unknown_link()
    caller = Caller(CallerKind.BEARER, ANN.identity, "service", address="192.0.2.7", request_id="r-1")
    stores.audit.record(AuditEvent("link.denied", "failure", caller, ANN.identity, "idp1", of, "access_denied"))
    assert stores.events() == [("link.denied", "idp1", of)]


def test_an_event_of_nobody_is_kept(stores: Harness) -> None:
    stores.audit.record(AuditEvent("login", "failure"))
    assert stores.events() == [("login", None, None)]
