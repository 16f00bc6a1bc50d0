"""Every preset is walked through against its stand-in: link, token, refresh where there is one, revocation.

The stand-ins have the wire habits that the providers' documentation describes; the addresses keep the preset's paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from demo.standins.habits import Habits
from demo.standins.server import RunningStandIn
from demo.standins.table import STAND_INS, TRANSFER
from support.store import API, Store, StorePerson, local_store
from tokenstore.providers.presets import PRESETS
from tokenstore.store.tables import provider_seen

RECEIPTS = {"rfc7009": "confirmed", "bearer": "confirmed", "github-grant": "confirmed", "none": "unsupported"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A store with all stand-ins around it."""

    store: Store
    stand_ins: dict[str, RunningStandIn]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as running:
        stand_ins = {habits.preset: running.enter_context(RunningStandIn(habits)) for habits in STAND_INS}
        settings: dict[str, object] = {"TOKEN_PROVIDERS": list(stand_ins)}
        for stand_in in stand_ins.values():
            settings |= stand_in.settings()
        store = running.enter_context(local_store(tmp_path_factory.mktemp("presets"), path="", **settings))
        for stand_in in stand_ins.values():
            stand_in.register_at(store.url)
        yield Stage(store, stand_ins)


def someone(stage: Stage, stand_in: RunningStandIn) -> StorePerson:
    """Somebody with an account at the stand-in."""
    person = stage.store.person()
    stand_in.state.enrol(person.account)
    return person


def linked(stage: Stage, habits: Habits) -> tuple[StorePerson, RunningStandIn]:
    """Somebody who linked the account there."""
    stand_in = stage.stand_ins[habits.preset]
    person = someone(stage, stand_in)
    person.log_in()
    page = person.browser.get(person.callback(stand_in.provider_id), within=stage.store.origin)
    assert page.status < 400, page.text
    return person, stand_in


def names(habits: Habits) -> str:
    return habits.preset


every = pytest.mark.parametrize("habits", STAND_INS, ids=names)


def test_every_preset_has_a_stand_in() -> None:
    assert sorted(habits.preset for habits in STAND_INS) == sorted(PRESETS)


@every
def test_an_account_is_linked_and_its_token_is_the_providers(stage: Stage, habits: Habits) -> None:
    person, stand_in = linked(stage, habits)

    [link] = person.authorization(habits.preset)["links"]
    token = person.token(habits.preset)

    assert link["account"]["subject"] == habits.subject(person.account)
    assert link["status"] == "ok"
    assert token.status == 200, token.text
    held = stand_in.state.access(token.json()["access_token"])
    assert held is not None
    assert held.subject == person.account.subject


@every
def test_a_token_is_refreshed_where_the_provider_refreshes(stage: Stage, habits: Habits) -> None:
    person, stand_in = linked(stage, habits)
    before = person.token(habits.preset).json()
    count = stand_in.calls.count("token", "refresh_token")

    answer = person.token(habits.preset, force="true")

    assert answer.status == 200, answer.text
    after = answer.json()
    refreshes = habits.offline_when is not None and PRESETS[habits.preset].rows.get("REFRESH_MODE") != "never"
    assert (after["access_token"] != before["access_token"]) is refreshes
    assert stand_in.calls.count("token", "refresh_token") - count == refreshes
    assert stand_in.state.access(after["access_token"]) is not None
    if refreshes:
        assert len(stand_in.state.live_refresh_tokens(person.account.subject)) >= 1
        assert (stand_in.state.access(before["access_token"]) is None) is habits.refresh_ends_access


@every
def test_a_second_refresh_spends_what_the_first_one_brought(stage: Stage, habits: Habits) -> None:
    if habits.offline_when is None or PRESETS[habits.preset].rows.get("REFRESH_MODE") == "never":
        return
    person, _ = linked(stage, habits)
    first = person.token(habits.preset, force="true").json()
    stage.store.let_pass(31)

    second = person.token(habits.preset, force="true")

    assert second.status == 200, second.text
    assert second.json()["access_token"] != first["access_token"]


@every
def test_unlinking_is_confirmed_where_the_provider_revokes(stage: Stage, habits: Habits) -> None:
    person, stand_in = linked(stage, habits)

    answer = person.call("POST", f"{API}/{habits.preset}/revoke")

    assert answer.status == 200, answer.text
    assert answer.headers["X-Upstream-Revocation"] == RECEIPTS[habits.revocation]
    assert all(grant.revoked for grant in stand_in.state.grants(person.account.subject)) is (
        habits.revocation != "none"
    )
    assert person.token(habits.preset).status == 404


@pytest.mark.parametrize("preset", ["dropbox", "github-app", "slack"])
def test_a_grant_is_revoked_though_the_access_token_has_ended(stage: Stage, preset: str) -> None:
    person, stand_in = linked(stage, next(habits for habits in STAND_INS if habits.preset == preset))
    stage.store.let_pass(13 * 3600)

    answer = person.call("POST", f"{API}/{preset}/revoke")

    assert answer.headers["X-Upstream-Revocation"] == "confirmed"
    assert [grant.revoked for grant in stand_in.state.grants(person.account.subject)] == [True]


@every
def test_a_client_secret_that_was_changed_at_the_provider_is_found(stage: Stage, habits: Habits) -> None:
    """The wrong secret is refused in the provider's own way; without a further one the operator is told."""
    stand_in = stage.stand_ins[habits.preset]
    person = someone(stage, stand_in)
    person.log_in()
    callback = person.callback(habits.preset)
    [client] = stand_in.state.clients()
    stand_in.state.register(type(client)(client.client_id, client.redirect_uris, "another", scopes=client.scopes))
    try:
        page = person.browser.get(callback, within=stage.store.origin)
    finally:
        stand_in.state.register(client)

    assert page.status == 502, page.text


def test_tokens_for_further_resource_servers_are_handed_out_by_name(stage: Stage) -> None:
    person, _ = linked(stage, next(habits for habits in STAND_INS if habits.preset == "globus"))

    plain, transfer = person.token("globus").json(), person.token("globus", audience=TRANSFER)

    assert plain["extra"] == {"resource_server": "auth.globus.org"}
    assert transfer.status == 200, transfer.text
    assert transfer.json()["access_token"] != plain["access_token"]
    assert transfer.json()["scope"] == f"urn:globus:auth:scope:{TRANSFER}:all"
    assert person.token("globus", audience="unknown.api.globus.org").slug == "scope-not-granted"


def test_fields_that_a_preset_keeps_go_along(stage: Stage) -> None:
    found = {}
    for preset in ("orcid", "salesforce", "slack"):
        person, _ = linked(stage, next(habits for habits in STAND_INS if habits.preset == preset))
        found[preset] = person.token(preset).json()["extra"]

    assert set(found["orcid"]) == {"orcid", "name"}
    assert found["salesforce"]["instance_url"] == "https://demo.my.salesforce.com"
    assert found["slack"]["team"] == {"id": "T1", "name": "Demo"}


def test_what_providers_do_is_learned(stage: Stage) -> None:
    for preset in ("atlassian", "dropbox"):
        person, _ = linked(stage, next(habits for habits in STAND_INS if habits.preset == preset))
        person.token(preset, force="true")

    seen = {(row["provider_id"], row["fact"], row["value"]) for row in stage.store.rows(provider_seen)}
    assert ("atlassian", "rotates", "yes") in seen
    assert ("dropbox", "rotates", "no") in seen
    assert ("atlassian", "expiry", "known") in seen
