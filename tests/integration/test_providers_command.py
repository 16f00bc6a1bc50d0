"""`flask tokenstore providers …` against providers that run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demo.knobs import Fault
from demo.store import environment
from support.harness import ANN, BOB, SqlHarness, account, event, new_link, provider
from support.settings import good_settings, token_provider
from support.store import Store, StorePerson
from support.stores import TEST_KEY, SqlStores, sql_stores
from tokenstore.cli import group
from tokenstore.core.model import ProviderId
from tokenstore.providers.presets import PRESETS


def run(settings: Mapping[str, object], *arguments: str) -> Result:
    return CliRunner().invoke(group, ["providers", *arguments], env=environment(settings))


def test_check_of_good_providers_ends_well_and_names_what_to_register(store: Store) -> None:
    done = run(store.settings, "check")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == [
        "oidc",
        *store.providers,
        "4 providers: 0 problems, 0 warnings",
    ]
    for provider_id in store.providers:
        uri = f"{store.url}/api/v1.0/{provider_id}/redirect_uri"
        assert f"  ok: the redirect URI to register there is {uri}" in lines
    assert f"  ok: the redirect URI to register there is {store.url}/api/oidc/redirect_uri" in lines


def test_check_of_one_provider_asks_no_other_and_spends_no_credentials(store: Store) -> None:
    before, other = len(store.providers["idp1"].calls.all()), store.providers["slow"].calls.all()
    done = run(store.settings, "check", "idp1")
    assert done.output.splitlines()[0] == "idp1"
    assert {call.endpoint for call in store.providers["idp1"].calls.all()[before:]} <= {"discovery", "jwks", "token"}
    assert store.providers["slow"].calls.all() == other


def test_check_works_for_the_login_provider(store: Store) -> None:
    done = run(store.settings, "check", "oidc")
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "oidc")


def test_check_of_a_provider_with_a_wrong_issuer_exits_with_one(store: Store) -> None:
    store.providers["idp1"].knobs.set(Fault.METADATA_ISSUER, "https://elsewhere.example")
    done = run(store.settings, "check", "idp1")
    assert done.exit_code == 1
    assert "problem: the metadata's issuer is https://elsewhere.example, the settings expect" in done.output


def test_check_of_a_provider_that_is_down_exits_with_one(store: Store) -> None:
    down = {**store.settings, "IDP1_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration"}
    done = run(down, "check", "idp1")
    assert done.exit_code == 1
    assert "problem: the metadata cannot be had at http://127.0.0.1:9/" in done.output


def test_check_tells_problems_of_the_settings_of_that_provider(store: Store) -> None:
    wrong = {**store.settings, "IDP1_CLIENT_ID": "", "SECRET_KEY": ""}
    done = run(wrong, "check", "idp1")
    assert done.exit_code == 1
    assert "  problem: IDP1_CLIENT_ID is missing" in done.output
    assert "see: flask tokenstore config check" in done.output
    assert run(wrong, "check", "slow").exit_code == 0


def test_check_shows_no_secret(store: Store) -> None:
    secrets = [str(value) for name, value in store.settings.items() if name.endswith(("_SECRET", "KEY"))]
    output = run(store.settings, "check").output
    assert not [secret for secret in secrets if secret in output]


def test_check_of_an_unknown_provider_names_those_that_there_are(store: Store) -> None:
    done = run(store.settings, "check", "nobody")
    assert done.exit_code == 2
    assert "only oidc, idp1, forge, slow" in " ".join(done.output.split())


def test_list_counts_links_and_tells_what_was_seen(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    lines = {line.split("\t")[0]: line.split("\t") for line in run(store.settings, "list").output.splitlines()}
    _, kind, preset, name, links, seen, wrong = lines["idp1"]
    assert (kind, preset, name, wrong) == ("oidc", "-", "Demo provider 1", "-")
    assert "active" in links
    assert "refresh-token: given" in seen


def test_list_and_check_tell_of_links_that_were_made_with_another_client(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    settings = {**store.settings, "IDP1_CLIENT_ID": "mistyped"}
    [line] = [line for line in run(settings, "list").output.splitlines() if line.startswith("idp1\t")]
    assert line.endswith(" linked with another client id")
    assert "made with another client id and cannot be refreshed; put the earlier" in run(settings, "check").output


def test_check_needs_no_database(store: Store, tmp_path: Path) -> None:
    nowhere = {**store.settings, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'none.sqlite'}"}
    assert run(nowhere, "check", "idp1").exit_code == 0
    assert list(tmp_path.iterdir()) == []
    away = {**store.settings, "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://me:hush@127.0.0.1:9/none"}
    done = run(away, "check", "idp1")
    assert (done.exit_code, "hush" in done.output) == (0, False)
    assert "whether a provider is in quarantine is not known" in done.output
    assert "Connection refused" in done.output


def test_list_shows_a_provider_that_is_not_configured_any_more(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    done = run({**store.settings, "TOKEN_PROVIDERS": ["forge"]}, "list")
    assert any(line.startswith("idp1\tnot configured\t-\t-\t") for line in done.output.splitlines())


def test_presets_names_each_with_its_needs_and_pages() -> None:
    output = run({}, "presets").output
    for name, preset in PRESETS.items():
        assert f"\n{name}\n" in f"\n{output}"
        assert all(page.title in output and page.address in output for page in preset.pages)
    assert "  needs  CLIENT_ID, CLIENT_SECRET, VARS with host and realm" in output.splitlines()


OLD, NEW = provider("old", client_id="store-there"), ProviderId("new")


@pytest.fixture
def stores(sqlite_url: str) -> Iterator[SqlStores]:
    """A database in which Ann has linked an account under `old`."""
    with sql_stores(sqlite_url) as made:
        made.links.attach(new_link(ANN, OLD, account("a", "old")), event())
        yield made


@pytest.fixture
def renamed(stores: SqlStores, tmp_path: Path) -> dict[str, object]:
    """The settings of a store that calls that provider `new`."""
    return good_settings(
        **token_provider("new", DISCOVERY_URL="https://old.example/.well-known/openid-configuration"),
        TOKEN_PROVIDERS="new",
        CRYPTOKEY=TEST_KEY.hex(),
        SQLALCHEMY_DATABASE_URI=stores.engine.url.render_as_string(hide_password=False),
        INSTANCE_PATH=str(tmp_path),
    )


def homes(stores: SqlStores) -> list[str]:
    return [standing.link.provider_id for standing in stores.links.standings(ANN.identity)]


def test_rename_moves_the_links_and_names_what_to_register(stores: SqlStores, renamed: dict[str, object]) -> None:
    done = run(renamed, "rename", "old", "new")
    assert (done.exit_code, done.output) == (
        0,
        "the redirect URI to register now is https://store.example.org/api/v1.0/new/redirect_uri\n1 moved\n",
    )
    holding = stores.links.read(ANN.identity, NEW, None, "default")
    assert holding is not None
    assert holding.token is not None


def test_dry_run_of_rename_says_the_same_and_moves_nothing(stores: SqlStores, renamed: dict[str, object]) -> None:
    done = run(renamed, "rename", "--dry-run", "old", "new")
    assert done.output.splitlines()[-1] == "dry run, nothing changed: 1 moved"
    assert homes(stores) == ["old"]


def test_rename_warns_where_the_old_id_is_still_configured(renamed: dict[str, object]) -> None:
    both = {**renamed, **token_provider("old"), "TOKEN_PROVIDERS": "old, new"}
    done = run(both, "rename", "old", "new")
    assert (done.exit_code, "warning: TOKEN_PROVIDERS still names old" in done.output) == (0, True)


def test_rename_warns_of_another_client(renamed: dict[str, object]) -> None:
    done = run({**renamed, "NEW_CLIENT_ID": "another"}, "rename", "old", "new")
    assert (done.exit_code, "were made with the client store-there" in done.output) == (0, True)


def test_rename_to_another_provider_is_refused(stores: SqlStores, renamed: dict[str, object]) -> None:
    done = run({**renamed, **token_provider("new")}, "rename", "old", "new")
    assert (done.exit_code, "that is another provider" in done.output, homes(stores)) == (1, True, ["old"])


def test_rename_is_refused_where_an_account_is_linked_twice(stores: SqlStores, renamed: dict[str, object]) -> None:
    stores.links.attach(new_link(ANN, replace(OLD, id=NEW), account("a", "old")), event())
    stores.links.attach(new_link(BOB, OLD, account("b", "old")), event())
    done = run(renamed, "rename", "old", "new")
    assert (done.exit_code, "has to be unlinked first" in done.output) == (1, True)
    assert [one.link.provider_id for one in stores.links.standings(BOB.identity)] == ["old"]


def test_rename_exits_with_one_where_something_stays(stores: SqlStores, renamed: dict[str, object]) -> None:
    SqlHarness.over(stores).spoil(stores.links.standings(ANN.identity)[0].link.id)
    done = run(renamed, "rename", "old", "new")
    assert (done.exit_code, "unreadable: no key opens it" in done.output) == (1, True)
    assert homes(stores) == ["old"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("old", "old"), "the same"),
        (("oidc", "new"), "keeps its id"),
        (("old", "oidc"), "keeps its id"),
        (("new", "other"), "TOKEN_PROVIDERS does not name other"),
    ],
)
def test_rename_with_odd_names_is_refused(renamed: dict[str, object], names: tuple[str, str], said: str) -> None:
    done = run(renamed, "rename", *names)
    assert done.exit_code in {1, 2}
    assert said in " ".join(done.output.split())


def test_rename_without_tables_is_told(renamed: dict[str, object], tmp_path: Path) -> None:
    done = run({**renamed, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'empty.db'}"}, "rename", "old", "new")
    assert (done.exit_code, "run it again to go on" in done.output) == (1, True)
