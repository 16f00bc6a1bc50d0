"""The values: secrets that do not show, variants, lifetimes, leases, callbacks."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.core_world import provider
from tokenstore.core.model import AccessToken, Asked, Callback, Endpoints, Rotation, RotationKind, TokenSet
from tokenstore.core.secret import Secret

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORD = "correct-horse"


def test_a_secret_comes_out_by_reveal_only() -> None:
    assert Secret(WORD).reveal() == WORD


SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret} {secret!r:>40}",
    "format": lambda secret: format(secret, "50"),
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  (the form of log messages)
    "in a value": lambda secret: repr(TokenSet(secret, refresh_token=secret)),
    "in a list": lambda secret: repr([secret]),
}


@pytest.mark.parametrize("way", SHOWN)
def test_a_secret_never_prints(way: str) -> None:
    assert WORD not in SHOWN[way](Secret(WORD))


def test_a_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("token %s", Secret(WORD))
    assert WORD not in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(Secret(WORD), protocol)


def test_a_secret_cannot_be_copied() -> None:
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="Secret"):
            copied(Secret(WORD))
    with pytest.raises(TypeError, match="Secret"):
        asdict(TokenSet(Secret(WORD)))


def test_a_secret_cannot_become_json() -> None:
    with pytest.raises(TypeError):
        json.dumps({"token": Secret(WORD)})


def test_a_secret_has_no_attributes_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Secret(WORD))


def test_a_secret_is_no_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(WORD))


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert Secret(WORD) != Secret(WORD + "x")


def test_a_secret_equals_no_text() -> None:
    assert Secret(WORD) != WORD


@given(st.text(st.characters(categories=None)), st.text(st.characters(categories=None)))
def test_comparing_secrets_takes_any_text(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)


def test_lone_surrogates_can_be_compared() -> None:
    assert Secret("\ud800") != Secret("\udfff")
    assert Secret("\ud800") == Secret("\ud800")


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("x")


def test_nothing_asked_is_the_default_variant() -> None:
    assert (Asked().variant, Asked().nothing) == ("default", True)


@pytest.mark.parametrize(
    "asked", [Asked(frozenset({"a"})), Asked(audience="a"), Asked(resources=("https://a.example",))]
)
def test_a_variant_is_a_digest_of_what_was_asked(asked: Asked) -> None:
    assert not asked.nothing
    assert len(asked.variant) == 64


def test_order_and_repetition_do_not_make_a_variant() -> None:
    one = Asked(frozenset({"a", "b"}), "x", ("https://a.example", "https://b.example"))
    other = Asked(frozenset({"b", "a"}), "x", ("https://b.example", "https://a.example", "https://b.example"))
    assert one.variant == other.variant


def test_different_wishes_are_different_variants() -> None:
    wishes = [
        Asked(frozenset({"a", "b"})),
        Asked(frozenset({"a b"})),
        Asked(frozenset({"a"}), "b"),
        Asked(audience="a"),
        Asked(resources=("a",)),
        Asked(resources=("a", "b")),
    ]
    assert len({wish.variant for wish in wishes}) == len(wishes)


def token(seconds: int | None) -> AccessToken:
    """An access token issued now."""
    return AccessToken(Secret(WORD), frozenset(), NOW, None if seconds is None else NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(("margin", "fresh"), [(0, True), (99, True), (100, True), (101, False)])
def test_a_token_is_fresh_for_what_is_left_of_its_life(margin: int, *, fresh: bool) -> None:
    assert token(100).fresh_for(timedelta(seconds=margin), NOW) is fresh


def test_a_token_past_its_end_has_less_than_nothing_left() -> None:
    assert token(100).left(NOW + timedelta(seconds=130)) == timedelta(seconds=-30)


def test_a_token_of_unknown_end_is_fresh_and_has_no_lifetime() -> None:
    unknown = token(None)
    assert unknown.fresh_for(timedelta(days=999), NOW)
    assert (unknown.lifetime, unknown.left(NOW)) == (None, None)


@pytest.mark.parametrize(
    ("grace", "deadline", "lease"),
    [(0, 12, 20), (3, 5, 7), (10, 5, 7), (12, 5, 7), (15, 8, 10), (30, 12, 20), (600, 12, 20)],
)
def test_deadline_and_lease_leave_time_for_another_try_inside_the_grace(grace: int, deadline: int, lease: int) -> None:
    rotation = Rotation(RotationKind.GRACE, timedelta(seconds=grace))
    assert rotation.deadline == timedelta(seconds=deadline)
    assert rotation.lease == timedelta(seconds=lease)


@given(st.integers(0, 10**6))
def test_a_lease_is_always_two_seconds_longer_than_a_call(grace: int) -> None:
    rotation = Rotation(RotationKind.GRACE, timedelta(seconds=grace))
    assert rotation.lease >= rotation.deadline + timedelta(seconds=2)


def test_a_provider_without_issuer_scopes_subjects_by_its_token_endpoint() -> None:
    plain = provider(issuer=None, endpoints=Endpoints(token="https://github.example:8443/login/oauth/token?x=1"))
    assert plain.effective_issuer == "https://github.example:8443"


def test_a_configured_issuer_counts_first() -> None:
    assert provider(issuer="https://a.example/x").effective_issuer == "https://a.example/x"


@pytest.mark.parametrize(("scopes", "expected"), [(("openid", "offline_access"), True), (("openid",), False)])
def test_a_refresh_token_is_expected_where_offline_access_was_asked_for(
    scopes: tuple[str, ...], *, expected: bool
) -> None:
    assert provider(scopes=scopes).expects_refresh_token is expected


def test_a_callback_gives_only_what_came_once() -> None:
    callback = Callback({"a": ("1",), "b": ("1", "2"), "c": ()})
    assert [callback.one(name) for name in ("a", "b", "c", "d")] == ["1", None, None, None]
    assert callback.repeated
    assert not Callback({"a": ("1",)}).repeated
