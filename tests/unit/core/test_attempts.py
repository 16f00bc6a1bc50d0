"""Beginning an attempt: what is random, what is kept, and that a provider that is down leaves nothing behind."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from support.core_world import ADA, provider
from support.fake_provider import FakeProviderClient
from support.fakes import fake_stores
from tokenstore.core.attempts import Attempts, random_value
from tokenstore.core.model import Purpose
from tokenstore.core.places import Places
from tokenstore.core.wishes import Wishes
from tokenstore.errors import ProviderUnavailable


def test_an_attempt_is_kept_with_all_that_the_callback_will_ask_for() -> None:
    stores, client = fake_stores(), FakeProviderClient()
    begun = Attempts(stores.attempts, client, Places()).begin(
        Purpose.LINK, provider(), user=ADA, session_key="s", return_url="/back", wishes=Wishes(prompts=("login",))
    )
    (attempt,) = client.begun
    assert stores.attempts.take(attempt.state.reveal()) == attempt
    assert (attempt.purpose, attempt.provider_id, attempt.user, attempt.session_key) == (Purpose.LINK, "idp1", ADA, "s")
    assert (attempt.return_url, attempt.scopes) == ("/back", ("openid", "email"))
    assert attempt.redirect_uri == provider().redirect_uri
    assert attempt.expires_at == begun.expires_at == stores.attempts.now() + timedelta(minutes=10)
    assert begun.location == f"https://idp.example/authorize?state={attempt.state.reveal()}"
    assert client.hinted == [{"prompt": "login"}]


def test_nothing_is_kept_when_the_provider_cannot_be_asked() -> None:
    stores, client = fake_stores(), FakeProviderClient(start=ProviderUnavailable("down"))
    with pytest.raises(ProviderUnavailable):
        Attempts(stores.attempts, client, Places()).begin(
            Purpose.LOGIN, provider(), user=None, session_key="s", return_url="/"
        )
    assert stores.database.attempts == {}


def test_state_nonce_and_verifier_are_three_random_values_of_256_bits() -> None:
    client = FakeProviderClient()
    for _ in range(20):
        Attempts(fake_stores().attempts, client, Places()).begin(
            Purpose.LOGIN, provider(), user=None, session_key="s", return_url="/"
        )
    values = [value.reveal() for one in client.begun for value in (one.state, one.nonce, one.code_verifier)]
    assert len(set(values)) == 60


def test_a_random_value_is_a_valid_pkce_verifier() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", random_value().reveal())
