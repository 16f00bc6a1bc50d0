"""`POST /{provider}/revoke` and `DELETE /links/{id}`: gone at once here, one call there, and a receipt."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from demo.client import Answer
from demo.knobs import Fault
from support.store import API, Store, StorePerson, local_store
from tokenstore.store.tables import access_token, outbox
from tokenstore.store.tables import link as link_table


def revoke(person: StorePerson, provider_id: str, **body: str) -> Answer:
    return person.call("POST", f"{API}/{provider_id}/revoke", json_body=body or None)


def is_revoked_upstream(person: StorePerson, provider_id: str, subject: str | None = None) -> bool:
    state = person.store.providers[provider_id].state
    return all(grant.revoked for grant in state.grants(subject or person.account.subject))


def test_revoke_answers_as_the_reference_does(person: StorePerson) -> None:
    person.link("idp1")

    answer = revoke(person, "idp1")

    assert (answer.status, answer.json()) == (200, "Token revoked")


@pytest.mark.parametrize("provider_id", ["idp1", "slow", "forge"])
def test_revoking_ends_the_grant_at_the_provider(person: StorePerson, provider_id: str) -> None:
    person.link(provider_id)

    answer = revoke(person, provider_id)

    assert answer.headers["X-Upstream-Revocation"] == "confirmed"
    assert is_revoked_upstream(person, provider_id)


def test_after_revoking_no_token_comes(person: StorePerson) -> None:
    person.link("idp1")
    revoke(person, "idp1")

    answer = person.token("idp1")

    assert (answer.status, answer.slug) == (404, "not-linked")
    assert person.authorization("idp1")["links"] == []


def test_revoking_ends_all_links_at_the_provider_and_none_elsewhere(person: StorePerson) -> None:
    person.link("idp1")
    person.link("idp1", person.other_account)
    person.link("slow")

    revoke(person, "idp1")

    assert person.authorization("idp1")["links"] == []
    assert is_revoked_upstream(person, "idp1", person.other_account.subject)
    assert person.token("slow").status == 200


def test_revoking_one_link_leaves_the_others(person: StorePerson) -> None:
    person.link("idp1")
    second = person.link("idp1", person.other_account)

    revoke(person, "idp1", link=second)

    assert [link["account"]["subject"] for link in person.authorization("idp1")["links"]] == [person.account.subject]
    assert not is_revoked_upstream(person, "idp1")


def test_revoking_where_nothing_is_linked_is_fine_and_has_no_receipt(person: StorePerson) -> None:
    answer = revoke(person, "idp1")

    assert (answer.status, answer.headers["X-Upstream-Revocation"]) == (200, None)


def test_deleting_a_link_has_a_receipt(person: StorePerson) -> None:
    link_id = person.link("idp1")

    answer = person.call("DELETE", f"{API}/links/{link_id}")

    assert (answer.status, answer.json()) == (200, {"link": link_id, "upstream": "confirmed"})
    assert is_revoked_upstream(person, "idp1")


def test_deleting_the_default_link_makes_another_the_default(person: StorePerson) -> None:
    first, second = person.link("idp1"), person.link("idp1", person.other_account)

    person.call("DELETE", f"{API}/links/{first}")

    assert [(link["id"], link["default"]) for link in person.authorization("idp1")["links"]] == [(second, True)]
    assert person.token("idp1").json()["link"] == second


def test_a_link_is_deleted_once(person: StorePerson) -> None:
    link_id = person.link("idp1")
    person.call("DELETE", f"{API}/links/{link_id}")

    assert person.call("DELETE", f"{API}/links/{link_id}").slug == "not-found"


@pytest.mark.parametrize("link_id", ["nonsense", "00000000-0000-4000-8000-000000000000", "", "%2e%2e"])
def test_a_link_that_does_not_exist_is_not_found(person: StorePerson, link_id: str) -> None:
    assert person.call("DELETE", f"{API}/links/{link_id}").status == 404


def test_a_link_of_somebody_else_is_not_found_and_stays(store: Store, person: StorePerson) -> None:
    link_id = person.link("idp1")

    answer = store.person().call("DELETE", f"{API}/links/{link_id}")

    assert (answer.status, answer.slug) == (404, "not-found")
    assert person.token("idp1").status == 200


def test_revoking_the_link_of_somebody_else_does_nothing(store: Store, person: StorePerson) -> None:
    link_id = person.link("idp1")

    revoke(store.person(), "idp1", link=link_id)

    assert person.token("idp1").status == 200


def test_a_link_id_that_is_none_is_named(person: StorePerson) -> None:
    answer = revoke(person, "idp1", link="nonsense")

    assert [problem["pointer"] for problem in answer.json()["errors"]] == ["link"]


def test_nothing_secret_stays_after_unlinking(store: Store, person: StorePerson) -> None:
    link_id = person.link("idp1")
    person.call("DELETE", f"{API}/links/{link_id}")

    [row] = [row for row in store.rows(link_table) if str(row["id"]) == link_id]
    assert (row["state"], row["refresh_sealed"], row["prev_sealed"]) == ("revoked", None, None)
    assert [one for one in store.rows(access_token) if str(one["link_id"]) == link_id] == []
    assert [one for one in store.rows(outbox) if str(one["link_id"]) == link_id] == []


def test_what_the_provider_did_not_take_stays_queued(store: Store, person: StorePerson) -> None:
    link_id = person.link("idp1")
    store.providers["idp1"].knobs.set(Fault.STATUS, 503, fail_at=["revoke"])

    answer = person.call("DELETE", f"{API}/links/{link_id}")

    assert answer.json()["upstream"] == "queued"
    assert person.token("idp1").slug == "not-linked"
    [row] = [one for one in store.rows(outbox) if str(one["link_id"]) == link_id]
    assert (row["kind"], row["attempts"], row["provider_id"]) == ("revoke", 1, "idp1")


def test_the_worst_receipt_counts_for_several_links(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    person.link("idp1", person.other_account)
    store.providers["idp1"].knobs.set(Fault.STATUS, 503, fail_at=["revoke"], times=1)

    assert revoke(person, "idp1").headers["X-Upstream-Revocation"] == "queued"


def test_unlinking_asks_the_provider_once(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    calls = store.providers["idp1"].calls
    before = calls.count("revoke")

    revoke(person, "idp1")

    assert calls.count("revoke") == before + 1


def test_a_provider_without_revocation_is_told_as_such(tmp_path: Path) -> None:
    with local_store(tmp_path, IDP1_REVOKE_STYLE="none") as store:
        person = store.person()
        person.link("idp1")

        assert revoke(person, "idp1").headers["X-Upstream-Revocation"] == "unsupported"
        assert store.rows(outbox) == []


def test_an_account_can_be_linked_again_after_unlinking(person: StorePerson) -> None:
    person.link("idp1")
    revoke(person, "idp1")

    person.link("idp1")

    assert person.token("idp1").status == 200
    assert person.authorization("idp1")["links"][0]["default"]


def test_linking_again_after_a_queued_revocation_gives_a_living_link(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    store.providers["idp1"].knobs.set(Fault.STATUS, 503, fail_at=["revoke"])
    revoke(person, "idp1")
    store.providers["idp1"].knobs.clear()

    person.link("idp1")
    store.let_pass(4000)

    assert person.token("idp1").status == 200


def test_unlinking_is_audited(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    revoke(person, "idp1")

    assert ("link.removed", None) in store.audit(person)


def test_the_anonymous_unlink_nothing(store: Store) -> None:
    assert store.call("POST", f"{API}/idp1/revoke").status == 401
    assert store.call("DELETE", f"{API}/links/{uuid4()}").status == 401
