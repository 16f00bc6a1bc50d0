"""Swapped ciphertexts (F-SWAP): a writer of the database can move sealed values, and none opens where it lands."""

from __future__ import annotations

from itertools import permutations, product
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from support.keys import memory_vault
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

TABLE_OF = {
    Kind.REFRESH: "link",
    Kind.PREVIOUS: "link",
    Kind.ACCESS: "access_token",
    Kind.SESSION: "session",
    Kind.ATTEMPT: "link_attempt",
    Kind.OUTBOX: "outbox",
    Kind.WAITING: "link_waiting",
    Kind.SPOOL: "spool",
}
PLACES = [
    Context(TABLE_OF[kind], kind, UUID(int=row), UUID(int=user), provider_id, "client")
    for kind, row, user, provider_id in product(Kind, (1, 2), (3, 4), ("idp1", "idp2"))
]


@pytest.fixture(scope="module")
def vault() -> Vault:
    return memory_vault()


def test_no_ciphertext_opens_in_the_place_of_another(vault: Vault) -> None:
    sealed = {place: vault.seal(Secret(f"token of {place}"), place) for place in PLACES}
    opened = []
    for here, there in permutations(PLACES, 2):
        try:
            opened.append(vault.open(sealed[there], here))
        except KeyUnavailable:
            continue
    assert opened == []
    assert all(vault.open(sealed[place], place) == Secret(f"token of {place}") for place in PLACES)


def test_a_value_sealed_in_another_installation_does_not_open(vault: Vault) -> None:
    with pytest.raises(KeyUnavailable):
        vault.open(memory_vault().seal(Secret("token"), PLACES[0]), PLACES[0])


def test_parts_of_two_ciphertexts_do_not_make_a_third(vault: Vault) -> None:
    place = PLACES[0]
    one, other = (vault.seal(Secret(text), place) for text in ("token one", "token two"))
    for cut in range(21, len(one)):
        with pytest.raises(KeyUnavailable):
            vault.open(one[:cut] + other[cut:], place)


def test_a_planted_value_of_the_legacy_format_does_not_open(vault: Vault) -> None:
    for planted in (Fernet(Fernet.generate_key()).encrypt(b"token"), b"token", b""):
        with pytest.raises(KeyUnavailable):
            vault.open(planted, PLACES[0])
