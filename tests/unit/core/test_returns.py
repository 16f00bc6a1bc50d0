"""Choosing a return address, with its audit."""

from support.fakes import fake_stores
from tokenstore.core.model import Origin
from tokenstore.core.redirects import ReturnUrlPolicy
from tokenstore.core.returns import ReturnUrls


def test_an_allowed_address_is_taken_as_it_is_and_not_audited() -> None:
    stores = fake_stores()
    returns = ReturnUrls(ReturnUrlPolicy("https://store.example"), stores.audit)

    assert returns.choose("/notebook?x=1").url == "/notebook?x=1"
    assert not stores.database.events


def test_a_refused_address_becomes_the_landing_page_and_is_audited_without_its_text() -> None:
    stores = fake_stores()
    returns = ReturnUrls(ReturnUrlPolicy("https://store.example"), stores.audit)

    choice = returns.choose("https://evil.example/")

    assert (choice.url, choice.refused) == ("/", True)
    assert [event.action for event in stores.database.events] == ["return.refused"]
    assert "evil" not in repr(stores.database.events)


def test_a_foreign_referer_is_passed_over_without_an_event() -> None:
    stores = fake_stores()
    returns = ReturnUrls(ReturnUrlPolicy("https://store.example"), stores.audit)

    assert returns.choose(None, "https://elsewhere.example/page").url == "/"
    assert not stores.database.events


def test_a_refused_address_of_nobody_says_where_it_came_from() -> None:
    stores, origin = fake_stores(), Origin("192.0.2.1", "r-1")
    returns = ReturnUrls(ReturnUrlPolicy("https://store.example"), stores.audit)

    returns.choose("https://evil.example/", origin=origin)

    assert [event.origin for event in stores.database.events] == [origin]
