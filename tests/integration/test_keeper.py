"""The keeper as it runs: in serving processes and as a process of its own, with providers over real HTTP."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from demo.knobs import Fault
from demo.store import environment
from support.core_world import World
from support.local_store import make_app
from support.store import Store, StorePerson, store_on
from support.waiting import eventually
from tokenstore.core.model import Asked, LinkId, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spool, Spooled
from tokenstore.keeper.operations import Operations
from tokenstore.store.tables import audit_event, link, outbox, provider_state

pytestmark = pytest.mark.timeout(150)

INSIDE_THE_MARGIN = 3300
"""Seconds after which a token of an hour is replaced although it is still good."""

STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Kept:
    """A store, and commands beside it."""

    store: Store
    home: Path

    @property
    def refreshes(self) -> int:
        return self.store.providers["idp1"].calls.count("token", "refresh_token")

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "tokenstore", "tokenstore"]

    @property
    def environment(self) -> dict[str, str]:
        return environment({"INSTANCE_PATH": str(self.home), **self.store.settings})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def keep_once(self, runners: int = 1) -> list[str]:
        """What so many keepers print that do what there is to do, all at the same time."""
        started = [self.start("keeper", "--once") for _ in range(runners)]
        printed = [process.communicate(timeout=90) for process in started]
        assert [process.returncode for process in started] == [0] * runners, printed
        return [out for out, _ in printed]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def keeper(self) -> Iterator[subprocess.Popen[str]]:
        """A keeper that goes on."""
        with self.start("keeper") as process:
            try:
                yield process
            finally:
                process.kill()

    def linked(self) -> StorePerson:
        """A person with a link that has been used."""
        person = self.store.person()
        person.link("idp1")
        assert person.token("idp1").status == 200
        return person

    def wait_for_use(self) -> None:
        """Return when the use of every link is written down."""
        eventually(lambda: all(row["last_used_at"] for row in self.store.rows(link)), "the time of the last use")

    def is_whole(self, person: StorePerson) -> bool:
        """Whether nothing was spent twice: one grant, not revoked, one live refresh token."""
        state = self.store.providers["idp1"].state
        [grant] = state.grants(person.account.subject)
        return not grant.revoked and len(state.live_refresh_tokens(person.account.subject)) == 1


@pytest.fixture
def quiet(database_url: str, tmp_path: Path) -> Iterator[Kept]:
    """A store whose processes leave the keeper's work to others."""
    with store_on(database_url, tmp_path, workers=1) as store:
        yield Kept(store, tmp_path)


@pytest.fixture
def on_sqlite(sqlite_url: str, tmp_path: Path) -> Iterator[Kept]:
    """The same, on SQLite alone."""
    with store_on(sqlite_url, tmp_path, workers=1) as store:
        yield Kept(store, tmp_path)


def test_serving_processes_refresh_links_in_use_ahead_without_any_request(database_url: str, tmp_path: Path) -> None:
    with store_on(database_url, tmp_path, workers=2, KEEPER="embedded") as store:
        kept = Kept(store, tmp_path)
        people = [kept.linked() for _ in range(5)]
        old = [person.token("idp1").json()["access_token"] for person in people]
        store.let_pass(INSIDE_THE_MARGIN)

        eventually(lambda: kept.refreshes == len(people), "a refresh of each link", seconds=40)

        for person, before in zip(people, old, strict=True):
            # The answer may not be in the database yet.
            eventually(lambda: person.token("idp1").json()["access_token"] != before, "the new token")  # noqa: B023  (called at once)
            assert person.token("idp1").json()["cached"] is True
        assert kept.refreshes == len(people)
        assert all(kept.is_whole(person) for person in people)


def test_workers_of_an_application_that_was_loaded_before_them_keep_and_count(sqlite_url: str, tmp_path: Path) -> None:
    with store_on(sqlite_url, tmp_path, options=["--preload"], KEEPER="embedded") as store:
        kept = Kept(store, tmp_path)
        person = kept.linked()
        store.let_pass(INSIDE_THE_MARGIN)

        refreshed = 'tokenstore_keeper_links_total{outcome="refreshed",provider="idp1"} 1.0'
        eventually(lambda: refreshed in store.call("GET", "/metrics").text, "the count of the refresh", seconds=40)

        assert (kept.refreshes, kept.is_whole(person)) == (1, True)


def test_an_orderly_stop_lets_the_keepers_refresh_come_to_its_end(sqlite_url: str, tmp_path: Path) -> None:
    with store_on(sqlite_url, tmp_path, workers=1, KEEPER="embedded") as store:
        kept = Kept(store, tmp_path)
        person = kept.linked()
        provider = store.providers["idp1"]
        provider.knobs.set(Fault.LATENCY_AFTER, 3)
        store.let_pass(INSIDE_THE_MARGIN)
        provider.calls.wait_for(1, "token", "refresh_token", seconds=40)
    provider.knobs.clear()

    [row] = kept.store.rows(link)
    assert (row["version"], row["lease_owner"], row["state"]) == (2, None, "active")
    assert row["last_used_at"] is not None
    assert kept.is_whole(person)


def test_uses_are_written_down_a_little_later(on_sqlite: Kept) -> None:
    on_sqlite.linked()
    on_sqlite.wait_for_use()


def test_several_keepers_at_once_make_one_refresh_of_each_link(quiet: Kept) -> None:
    people = [quiet.linked() for _ in range(9)]
    quiet.store.let_pass(INSIDE_THE_MARGIN)

    printed = "".join(quiet.keep_once(runners=3))

    assert "refresh idp1: " in printed
    assert quiet.refreshes == len(people)
    assert all(quiet.is_whole(person) for person in people)
    assert {row["version"] for row in quiet.store.rows(link)} == {2}
    events = [row for row in quiet.store.rows(audit_event) if row["action"] == "token.refresh"]
    assert {row["caller_kind"] for row in events} == {"keeper"}


def test_a_suspect_link_heals(on_sqlite: Kept) -> None:
    person = on_sqlite.linked()
    on_sqlite.store.providers["idp1"].knobs.set(Fault.ERROR, "invalid_grant", times=1)
    on_sqlite.store.let_pass(INSIDE_THE_MARGIN)
    on_sqlite.keep_once()
    assert [row["state"] for row in on_sqlite.store.rows(link)] == ["suspect"]
    on_sqlite.store.let_pass(60)

    on_sqlite.keep_once()

    assert [row["state"] for row in on_sqlite.store.rows(link)] == ["active"]
    assert on_sqlite.is_whole(person)


def test_a_link_that_nobody_uses_is_left_alone_but_for_its_providers_idle_limit(
    sqlite_url: str, tmp_path: Path
) -> None:
    with store_on(sqlite_url, tmp_path, workers=1, IDP1_REFRESH_IDLE_SECONDS=100 * 86_400) as store:
        kept = Kept(store, tmp_path)
        kept.linked()
        kept.wait_for_use()
        store.let_pass(40 * 86_400)
        kept.keep_once()
        assert kept.refreshes == 0

        store.let_pass(45 * 86_400)
        kept.keep_once()
        assert kept.refreshes == 1


def test_the_outbox_is_drained_when_the_provider_is_back(on_sqlite: Kept) -> None:
    person, provider = on_sqlite.linked(), on_sqlite.store.providers["idp1"]
    provider.stop()
    assert person.call("POST", "/api/v1.0/idp1/revoke").headers["X-Upstream-Revocation"] == "queued"
    provider.start()
    on_sqlite.store.let_pass(120)

    on_sqlite.keep_once()

    assert on_sqlite.store.rows(outbox) == []
    assert provider.state.live_refresh_tokens(person.account.subject) == []


def test_the_signal_ends_a_keeper_in_order_and_its_refresh_is_kept(on_sqlite: Kept) -> None:
    person, provider = on_sqlite.linked(), on_sqlite.store.providers["idp1"]
    on_sqlite.store.let_pass(INSIDE_THE_MARGIN)
    provider.knobs.set(Fault.LATENCY_AFTER, 2)
    with on_sqlite.keeper() as process:
        provider.calls.wait_for(1, "token", "refresh_token", seconds=40)
        process.send_signal(signal.SIGTERM)

        assert process.wait(STOP_SECONDS) == 0

    assert [row["version"] for row in on_sqlite.store.rows(link)] == [2]
    assert on_sqlite.is_whole(person)


def test_a_keeper_that_has_nothing_to_do_ends_at_once(on_sqlite: Kept) -> None:
    on_sqlite.linked()
    on_sqlite.store.let_pass(INSIDE_THE_MARGIN)
    with on_sqlite.keeper() as process:
        assert process.stdout is not None
        assert "refresh idp1: 1 in" in process.stdout.readline()
        process.send_signal(signal.SIGINT)

        assert process.wait(STOP_SECONDS) == 0


def test_a_keeper_that_cannot_do_its_work_once_says_so(on_sqlite: Kept) -> None:
    settings = {**on_sqlite.store.settings, "CRYPTOKEY": secrets.token_hex(32)}
    broken = replace(on_sqlite, store=replace(on_sqlite.store, settings=settings))

    done = broken.run("keeper", "--once")

    assert done.returncode == 1
    assert "refresh idp1: failed, see the log" in done.stdout


def test_a_keeper_that_could_refresh_nothing_says_so(on_sqlite: Kept) -> None:
    on_sqlite.linked()
    on_sqlite.store.providers["idp1"].knobs.set(Fault.ERROR, "temporarily_unavailable")
    on_sqlite.store.let_pass(INSIDE_THE_MARGIN)

    done = on_sqlite.run("keeper", "--once")

    assert done.returncode == 1, done.stdout
    assert "1 failed, see the log" in done.stdout


@pytest.mark.parametrize("how", [["keeper"], ["keeper", "--once"]])
def test_a_keeper_whose_lines_nobody_reads_ends_with_an_error(on_sqlite: Kept, how: list[str]) -> None:
    on_sqlite.linked()
    on_sqlite.store.let_pass(INSIDE_THE_MARGIN)
    with on_sqlite.start(*how) as process:
        try:
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(60) == 1
        finally:
            process.kill()
    assert [row["version"] for row in on_sqlite.store.rows(link)] == [2]


def spooled(place: Spool, link_id: LinkId, version: int) -> None:
    """Leave an answer in a spool, as a process that died."""
    tokens = TokenSet(Secret("from-the-spool"), refresh_token=Secret("refresh-of-the-spool"))
    found = replace(World().link(), id=link_id, version=version)
    place.reserve(found).keep(Spooled(link_id, version, Asked(), tokens, datetime.now(UTC)))


def test_the_spool_is_shown_and_replayed_also_that_of_another_machine(on_sqlite: Kept) -> None:
    person = on_sqlite.linked()
    link_id = on_sqlite.store.rows(link)[0]["id"]
    given = {**on_sqlite.store.settings, "INSTANCE_PATH": str(on_sqlite.home)}
    here = Operations.of(make_app(given))
    elsewhere = on_sqlite.home / "other-spool"
    spooled(here.spool_in(elsewhere), link_id, 1)

    assert on_sqlite.run("spool", "status").stdout == "0 waiting\n"
    replayed = on_sqlite.run("spool", "replay", str(elsewhere))
    assert (replayed.stdout, replayed.returncode) == ("1 saved\n0 waiting\n", 0), replayed.stderr
    assert person.token("idp1").json()["access_token"] == "from-the-spool"

    spooled(here.spool, link_id, 2)
    for wrong in (on_sqlite.home, on_sqlite.home / "nothing-here"):
        refused = on_sqlite.run("spool", "replay", str(wrong))
        assert (refused.returncode, "saved" in refused.stdout) == (2, False)
    # The serving processes look there as well.
    assert on_sqlite.run("spool", "replay").stdout.endswith(" saved\n0 waiting\n")
    assert [row["version"] for row in on_sqlite.store.rows(link)] == [3]


def test_an_answer_that_is_not_whole_is_shown_and_replay_says_that_it_is_left(on_sqlite: Kept) -> None:
    given = {**on_sqlite.store.settings, "INSTANCE_PATH": str(on_sqlite.home)}
    here = Operations.of(make_app(given)).spool
    spooled(here, LinkId(uuid4()), 1)
    [answer] = (on_sqlite.home / "spool").glob("*.1.*")
    answer.write_bytes(answer.read_bytes()[:100])
    os.utime(answer, (0, 0))

    replayed = on_sqlite.run("spool", "replay")

    assert replayed.stdout.endswith("0 waiting, 1 unreadable\n")
    assert replayed.returncode == 1
    assert on_sqlite.run("spool", "status").stdout == "0 waiting, 1 unreadable\n"


def test_a_spool_that_cannot_be_made_is_told_by_its_commands_and_by_readiness(on_sqlite: Kept) -> None:
    settings = {**on_sqlite.store.settings, "SPOOL_DIR": "/proc/nope"}
    broken = replace(on_sqlite, store=replace(on_sqlite.store, settings=settings))

    for command in ("status", "replay"):
        done = broken.run("spool", command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "The spool cannot be used at present" in done.stderr
    client = make_app({**settings, "INSTANCE_PATH": str(on_sqlite.home)}).test_client()
    answer = client.get("/readyz", base_url=on_sqlite.store.url)
    assert (answer.status_code, answer.get_json()) == (503, {"ready": False, "failed": ["spool"]})


def test_a_quarantine_is_begun_shown_and_ended_by_the_operator(on_sqlite: Kept) -> None:
    assert on_sqlite.run("providers", "resume", "idp1").stdout == "was not in quarantine\n"
    unknown = on_sqlite.run("providers", "resume", "idpl")
    assert unknown.returncode == 2
    assert "there is no provider 'idpl', only forge, idp1, slow" in " ".join(unknown.stderr.split())

    assert on_sqlite.run("providers", "quarantine", "idp1").stdout == "quarantined\n"
    assert on_sqlite.run("providers", "quarantine", "idp1").stdout == "was in quarantine\n"
    listed = on_sqlite.run("providers", "list").stdout.splitlines()
    assert ["quarantined since 20" in line for line in listed] == [line.startswith("idp1\t") for line in listed]
    checked = on_sqlite.run("providers", "check", "idp1")
    assert "  warning: in quarantine since 20" in checked.stdout
    assert "flask tokenstore providers resume idp1" in checked.stdout

    assert on_sqlite.run("providers", "resume", "--believe", "idp1").stdout == "resumed\n"

    [state] = on_sqlite.store.rows(provider_state)
    assert (state["quarantined_at"], state["given_up_before"] is None) == (None, False)
    audit = on_sqlite.store.audit()
    assert {("provider.quarantined", None), ("provider.resumed", "believed")} <= set(audit)
