"""What callers see, and what becomes of the link, for everything a provider may answer to a refresh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from demo.client import Answer
from demo.knobs import Fault
from demo.server import RunningProvider
from support.store import Store, StorePerson
from support.waiting import eventually
from tokenstore.store.tables import link

HOUR_GONE = 4000
LONGEST_DOUBT = 31


@pytest.fixture
def provider(store: Store) -> RunningProvider:
    """The provider that misbehaves; it rotates strictly."""
    return store.providers["slow"]


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody with a link whose access token has ended."""
    somebody = store.person()
    somebody.link("slow")
    store.let_pass(HOUR_GONE)
    return somebody


@pytest.fixture
def graceful(provider: RunningProvider) -> Iterator[RunningProvider]:
    """The provider, lenient for a while with used refresh tokens."""
    strict = provider.state.config
    provider.state.config = replace(strict, rotation="grace", grace_seconds=30)
    yield provider
    provider.state.config = replace(provider.state.config, rotation="strict")


def refreshes(provider: RunningProvider) -> int:
    return provider.calls.count("token", "refresh_token")


def asked(person: StorePerson) -> Answer:
    """The answer to a request for a token, when the flight that it begins has ended and the link is not in doubt."""
    latest: list[Answer] = []

    def settled() -> bool:
        latest[:] = [person.token("slow")]
        if latest[0].slug != "refresh-in-progress":
            return True
        if int(latest[0].headers["Retry-After"]) > 1:
            person.store.let_pass(LONGEST_DOUBT)
        return False

    eventually(settled, "the end of the flight", seconds=20)
    return latest[0]


def assert_link_is_whole(person: StorePerson) -> None:
    """The link is there and gives a token as soon as it may be tried again."""
    person.store.world.calm()
    person.store.let_pass(3600)
    answer = asked(person)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("status", [429, 503, 408])
def test_retry_after_of_the_provider_is_passed_on_and_kept_to(
    provider: RunningProvider, person: StorePerson, status: int
) -> None:
    provider.knobs.set(Fault.STATUS, status)
    provider.knobs.set(Fault.RETRY_AFTER, 7)
    before = refreshes(provider)

    first, second = asked(person), asked(person)

    assert (first.status, first.slug, first.headers["Retry-After"]) == (503, "provider-unavailable", "7")
    assert (second.status, second.slug) == (503, "provider-unavailable")
    assert refreshes(provider) == before + 1
    assert_link_is_whole(person)


def test_waiting_shows_as_unavailable(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.STATUS, 503)
    provider.knobs.set(Fault.RETRY_AFTER, 600)
    asked(person)

    item = person.authorization("slow")

    assert (item["status"], item["active"]) == ("unavailable", False)


def test_retry_after_is_at_most_an_hour(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.STATUS, 503)
    provider.knobs.set(Fault.RETRY_AFTER, 1_000_000)

    assert int(asked(person).headers["Retry-After"]) <= 3600


def test_a_passing_error_of_the_provider_is_retried(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.STATUS, 500, times=1)
    before = refreshes(provider)

    assert asked(person).status == 200
    assert refreshes(provider) == before + 2


def test_a_lasting_error_of_the_provider_is_tried_three_times(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.STATUS, 500)
    before = refreshes(provider)

    answer = asked(person)

    assert (answer.status, answer.slug) == (503, "provider-unavailable")
    assert refreshes(provider) == before + 3
    assert_link_is_whole(person)


def test_a_provider_that_is_gone_harms_no_link(provider: RunningProvider, person: StorePerson) -> None:
    provider.stop()
    try:
        answer = asked(person)
    finally:
        provider.start()

    assert (answer.status, answer.slug) == (503, "provider-unavailable")
    assert answer.headers["Retry-After"]
    assert_link_is_whole(person)


def test_a_provider_that_is_gone_does_not_concern_the_others(
    store: Store, provider: RunningProvider, person: StorePerson
) -> None:
    person.link("idp1")
    store.let_pass(HOUR_GONE)
    provider.stop()
    try:
        assert person.token("idp1").status == 200
    finally:
        provider.start()


def test_a_connection_that_broke_before_anything_was_done_is_retried_once(
    provider: RunningProvider, person: StorePerson
) -> None:
    provider.knobs.set(Fault.DROP_BEFORE, times=1)
    before = refreshes(provider)

    assert asked(person).status == 200
    assert refreshes(provider) == before + 2


def test_a_rotation_whose_answer_was_lost_is_saved_by_a_grace(graceful: RunningProvider, person: StorePerson) -> None:
    graceful.knobs.set(Fault.DROP_AFTER, times=1)
    before = refreshes(graceful)

    assert asked(person).status == 200
    assert refreshes(graceful) == before + 2


def test_a_rotation_whose_answer_was_lost_ends_a_strict_link_and_says_so(
    provider: RunningProvider, person: StorePerson
) -> None:
    provider.knobs.set(Fault.DROP_AFTER, times=1)

    answer = asked(person)

    assert (answer.status, answer.slug) == (409, "reauthorization-required")


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "unsupported_grant_type"])
def test_a_provider_that_refuses_the_store_never_breaks_a_link(
    store: Store, provider: RunningProvider, person: StorePerson, code: str
) -> None:
    provider.knobs.set(Fault.ERROR, code)

    answer = asked(person)

    assert (answer.status, answer.slug) == (502, "provider-misconfigured")
    assert ("link.broken", code) not in store.audit(person)
    assert_link_is_whole(person)


def test_what_the_operator_mended_at_a_provider_works_as_soon_as_somebody_links_there(
    store: Store, provider: RunningProvider, person: StorePerson
) -> None:
    other = store.person()
    other.link("slow")
    store.let_pass(HOUR_GONE)
    provider.knobs.set(Fault.ERROR, "invalid_client")
    assert asked(person).slug == asked(other).slug == "provider-misconfigured"
    before = refreshes(provider)
    provider.knobs.clear()
    assert other.token("slow").slug == "provider-misconfigured"
    assert refreshes(provider) == before

    store.person().link("slow")
    store.change(link, link.c.last_error == "misconfigured:invalid_client", next_try_at=None)

    assert asked(person).status == 200


@pytest.mark.parametrize("code", ["invalid_request", "invalid_scope", "something_new"])
def test_a_refused_request_never_breaks_a_link(provider: RunningProvider, person: StorePerson, code: str) -> None:
    provider.knobs.set(Fault.ERROR, code)

    answer = asked(person)

    assert (answer.status, answer.slug) == (502, "provider-misconfigured")
    assert_link_is_whole(person)


def test_no_text_of_the_provider_reaches_the_caller(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.ERROR, "<b>very_odd</b>")

    answer = asked(person)

    assert "odd" not in answer.text
    assert "on demand" not in answer.text


def test_invalid_grant_asks_for_the_person(store: Store, provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.ERROR, "invalid_grant")

    answer = asked(person)

    assert (answer.status, answer.slug) == (409, "reauthorization-required")
    assert answer.json()["authorize_url"] == f"{store.url}/link/slow"
    assert ("link.broken", "invalid_grant") in store.audit(person)


def test_a_broken_link_shows_as_such_and_is_not_tried_again(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.ERROR, "invalid_grant")
    asked(person)
    before = refreshes(provider)

    again, item = asked(person), person.authorization("slow")

    assert again.slug == "reauthorization-required"
    assert isinstance(again.json()["since"], int)
    assert refreshes(provider) == before
    assert (item["active"], item["status"]) == (False, "reauthorization_required")
    assert item["links"][0]["last_error"] == "invalid_grant"


def test_linking_again_heals_a_broken_link(provider: RunningProvider, person: StorePerson) -> None:
    [before] = person.authorization("slow")["links"]
    provider.knobs.set(Fault.ERROR, "invalid_grant")
    asked(person)
    provider.knobs.clear()

    assert person.link("slow") == before["id"]
    item = person.authorization("slow")
    assert (item["active"], item["status"], item["links"][0]["last_error"]) == (True, "ok", None)
    assert_link_is_whole(person)


def test_a_grant_revoked_at_the_provider_asks_for_the_person(provider: RunningProvider, person: StorePerson) -> None:
    for grant in provider.state.grants(person.account.subject):
        provider.state.revoke(grant)

    assert asked(person).slug == "reauthorization-required"


def test_an_error_with_status_200_is_an_error(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.ERROR, "invalid_grant")
    provider.knobs.set(Fault.ERROR_WITH_200)

    assert asked(person).slug == "reauthorization-required"


def test_a_valid_token_is_handed_out_whatever_the_provider_says(store: Store, provider: RunningProvider) -> None:
    person = store.person()
    person.link("slow")
    provider.knobs.set(Fault.ERROR, "invalid_grant")
    assert person.token("slow", force="true").slug == "refresh-in-progress"
    store.let_pass(LONGEST_DOUBT)
    assert person.token("slow", force="true").slug == "reauthorization-required"

    answer = person.token("slow")

    assert (answer.status, answer.json()["cached"]) == (200, True)


@pytest.mark.parametrize(("fault", "value"), [(Fault.HTML_BODY, True), (Fault.HUGE_BODY, 2_000_000)])
def test_an_answer_that_is_no_token_response_is_a_passing_fault(
    provider: RunningProvider, person: StorePerson, fault: Fault, value: bool | int
) -> None:
    provider.knobs.set(fault, value)
    before = refreshes(provider)

    answer = asked(person)

    assert (answer.status, answer.slug) == (503, "provider-unavailable")
    assert refreshes(provider) == before + 2
    assert_link_is_whole(person)


def test_a_refresh_token_inside_a_useless_answer_is_kept(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.TOKEN_TYPE, "mac", times=1)

    assert asked(person).slug == "provider-unavailable"
    assert_link_is_whole(person)
    [grant] = provider.state.grants(person.account.subject)
    assert not grant.revoked


def test_a_form_encoded_answer_is_read(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.FORM_ENCODED)

    answer = asked(person)

    assert (answer.status, answer.json()["cached"]) == (200, False)
    assert answer.json()["expires_in"] > 3000


def test_an_answer_without_expires_in_has_no_known_end(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.NO_EXPIRES_IN)

    assert asked(person).json()["expires_in"] is None


def test_refresh_keeps_old_refresh_token_when_none_is_returned(
    store: Store, provider: RunningProvider, person: StorePerson
) -> None:
    provider.knobs.set(Fault.NO_REFRESH_TOKEN)
    assert asked(person).status == 200
    store.let_pass(HOUR_GONE)

    assert asked(person).status == 200

    first, second = provider.calls.all("token", "refresh_token")[-2:]
    assert first.refresh_fingerprint == second.refresh_fingerprint


def test_a_narrowed_scope_is_recorded(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.NARROW_SCOPE, "openid")

    answer = asked(person)

    item = person.authorization("slow")
    assert answer.json()["scope"] == "openid"
    assert (item["scope_status"], item["links"][0]["scopes"]) == ("narrower", ["openid"])


def test_a_redirect_is_not_followed(store: Store, provider: RunningProvider, person: StorePerson) -> None:
    target = store.providers["forge"]
    provider.knobs.set(Fault.REDIRECT, f"{target.issuer}/token")
    before = target.calls.count()

    answer = asked(person)

    assert answer.status in {502, 503}
    assert target.calls.count() == before
    assert_link_is_whole(person)


def test_a_short_lived_token_is_handed_out_and_replaced(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.EXPIRES_IN, 2)
    first = asked(person).json()

    eventually(lambda: asked(person).json()["access_token"] != first["access_token"], "the next token")

    assert 0 <= first["expires_in"] <= 2


def test_a_refresh_that_the_provider_hangs_on_ends_by_itself(provider: RunningProvider, person: StorePerson) -> None:
    provider.knobs.set(Fault.HANG, times=2)
    before = refreshes(provider)

    answers: list[Answer] = [person.token("slow")]

    assert (answers[0].status, answers[0].slug) == (503, "refresh-in-progress")
    provider.calls.wait_for(before + 2, "token", "refresh_token", seconds=15)
    eventually(lambda: person.token("slow").slug != "refresh-in-progress", "the end of the flight", seconds=20)
    assert_link_is_whole(person)
