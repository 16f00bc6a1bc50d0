"""What every AuditLog promises."""

from __future__ import annotations

from support.harness import ANN, Harness, unknown_link
from tokenstore.core.model import AuditEvent, Caller, CallerKind, Identity, Origin


def test_an_event_is_kept(stores: Harness) -> None:
    of = unknown_link()
    caller = Caller(CallerKind.BEARER, ANN.identity, "service", address="192.0.2.7", request_id="r-1")
    stores.audit.record(AuditEvent("link.denied", "failure", caller, ANN.identity, "idp1", of, "access_denied"))
    assert stores.events() == [("link.denied", "idp1", of)]


def test_an_event_of_nobody_is_kept(stores: Harness) -> None:
    stores.audit.record(AuditEvent("login", "failure"))
    assert stores.events() == [("login", None, None)]


def test_an_event_is_kept_whatever_its_texts_hold(stores: Harness) -> None:
    odd = "\x00\ud800" + "x" * 5000
    caller = Caller(CallerKind.BEARER, Identity(odd, odd), odd, address=odd, request_id=odd)
    stores.audit.record(AuditEvent("link.denied", "failure", caller, Identity(odd, odd), None, None, odd))
    assert stores.events() == [("link.denied", None, None)]


def test_an_event_of_nobody_says_where_it_came_from(stores: Harness) -> None:
    stores.audit.record(AuditEvent("login.refused", "failure", origin=Origin("192.0.2.7", "r-1")))
    assert stores.places() == [("192.0.2.7", "r-1")]
