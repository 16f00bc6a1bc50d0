"""What every UserStore promises."""

from __future__ import annotations

from dataclasses import replace

from support.harness import ANN, BOB, Harness, in_parallel
from tokenstore.core.model import Identity, Profile


def test_a_remembered_user_is_found(stores: Harness) -> None:
    stores.users.remember(ANN)
    assert stores.users.profile(ANN.identity) == ANN


def test_an_unknown_user_is_none(stores: Harness) -> None:
    assert stores.users.profile(BOB.identity) is None


def test_the_same_identity_keeps_its_id_and_takes_the_new_profile(stores: Harness) -> None:
    first = stores.users.remember(ANN)
    renamed = Profile(ANN.identity, "Ann B.", "ann@new.example", email_verified=False)
    assert stores.users.remember(renamed) == first
    assert stores.users.profile(ANN.identity) == renamed


def test_a_name_that_a_profile_does_not_say_stays(stores: Harness) -> None:
    stores.users.remember(ANN)
    stores.users.remember(replace(ANN, name=None))
    assert stores.users.profile(ANN.identity) == ANN


def test_an_email_address_that_is_no_longer_said_is_forgotten(stores: Harness) -> None:
    stores.users.remember(ANN)
    stores.users.remember(Profile(ANN.identity))
    assert stores.users.profile(ANN.identity) == Profile(ANN.identity, ANN.name)


def test_a_profile_that_a_database_cannot_hold_is_remembered(stores: Harness) -> None:
    stores.users.remember(Profile(ANN.identity, "A\x00\udfff", "a\x00@example.org", email_verified=True))
    kept = stores.users.profile(ANN.identity)
    assert kept is not None
    assert kept.name is not None


def test_the_same_subject_of_another_issuer_is_another_user(stores: Harness) -> None:
    other = Profile(Identity("https://other.example", ANN.identity.subject))
    assert stores.users.remember(ANN) != stores.users.remember(other)


def test_a_disabled_user_is_none(stores: Harness) -> None:
    stores.users.remember(ANN)
    stores.disable(ANN.identity)
    assert stores.users.profile(ANN.identity) is None


def test_concurrent_logins_of_one_person_end_with_one_user(stores: Harness) -> None:
    assert len(set(in_parallel(10, lambda _: stores.users.remember(ANN)))) == 1
