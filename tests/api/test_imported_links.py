"""A link that came from the reference serves its person as any other does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demo.config import Account
from demo.grants import Grant
from demo.store import environment
from support.reference import REFERENCE_KEY, Reference, fernet, reference_at
from support.store import Store, StorePerson
from tokenstore.cli import group
from tokenstore.store.tables import link


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Reference]:
    with reference_at(f"sqlite:///{tmp_path / 'reference.db'}") as made:
        yield made


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody with the same subject at login and at idp1, as the reference demanded."""
    one, other = (Account.named(f"imported-{secrets.token_hex(4)}") for _ in range(2))
    store.world.enrol(one, one, other)
    return StorePerson(store, one, one, other)


def granted(store: Store, person: StorePerson) -> str:
    """A refresh token that idp1 gave to the store's client when the reference was there."""
    provider = store.providers["idp1"].state
    client = str(store.settings["IDP1_CLIENT_ID"])
    scope = "openid email offline_access"
    family = Grant(secrets.token_hex(8), client, person.account.subject, scope, int(time.time()))
    return provider.new_refresh_token(family)


def import_from(reference: Reference, store: Store, folder: Path, *options: str) -> Result:
    key = folder / "cryptokey"
    key.write_text(REFERENCE_KEY + "\n")
    arguments = ["import-reference", reference.url, "--cryptokey-file", str(key), *options]
    return CliRunner().invoke(group, arguments, env=environment(store.settings))


@pytest.fixture
def imported(store: Store, person: StorePerson, reference: Reference, tmp_path: Path) -> StorePerson:
    """The person, whose refresh token was imported."""
    reference.add(user=person.login.subject, token=fernet(granted(store, person)))
    done = import_from(reference, store, tmp_path)
    assert (done.exit_code, done.output) == (0, "1 row: 1 imported\n")
    return person


def test_imported_link_is_active_before_its_first_use(imported: StorePerson) -> None:
    authorization = imported.authorization("idp1")

    assert authorization["active"]
    [one] = authorization["links"]
    assert one["account"]["subject"] == imported.login.subject
    assert one["default"]


def test_imported_link_gives_a_token_by_one_refresh_and_then_from_the_cache(imported: StorePerson) -> None:
    first, second = imported.token("idp1"), imported.token("idp1")

    assert first.status == 200, first.text
    assert (first.json()["cached"], second.json()["cached"]) == (False, True)


def test_linking_again_after_an_import_keeps_the_one_link(imported: StorePerson) -> None:
    [before] = imported.authorization("idp1")["links"]

    assert imported.link("idp1") == before["id"]

    [after] = imported.authorization("idp1")["links"]
    assert (before["account"]["email"], after["account"]["email"]) == (None, imported.account.email)


def test_import_is_an_event_of_its_person(store: Store, imported: StorePerson) -> None:
    assert store.audit(imported) == [("link.imported", None)]


def test_import_stores_nothing_that_the_reference_could_open(store: Store, imported: StorePerson) -> None:
    [row] = [row for row in store.rows(link) if row["subject"] == imported.login.subject]

    assert row["refresh_sealed"].startswith(b"TS")


def test_dry_run_stores_nothing(store: Store, person: StorePerson, reference: Reference, tmp_path: Path) -> None:
    reference.add(user=person.login.subject, token=fernet(granted(store, person)))

    done = import_from(reference, store, tmp_path, "--dry-run")

    assert done.output == "dry run, nothing stored: 1 row: 1 imported\n"
    assert person.authorization("idp1")["links"] == []
