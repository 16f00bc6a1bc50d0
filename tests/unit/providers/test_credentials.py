"""The order in which our secrets are tried."""

from __future__ import annotations

import pytest

from support.issuing import make_provider
from tokenstore.core.model import Granted, Misconfigured, Outcome, Refused, TokenSet, Unavailable, Unclear
from tokenstore.core.secret import Secret
from tokenstore.providers.answers import CLIENT_REFUSALS
from tokenstore.providers.credentials import Credentials, refuses_us

PROVIDER = make_provider(client_secret=Secret("old"), further_secrets=(Secret("new"), Secret("newest")))
GRANTED = Granted(TokenSet(Secret("at")))


def order(credentials: Credentials) -> list[str]:
    found = [client.client_secret for client in credentials.in_order(PROVIDER)]
    return [secret.reveal() for secret in found if secret is not None]


def test_secrets_are_tried_in_the_order_given() -> None:
    assert order(Credentials()) == ["old", "new", "newest"]


def test_each_try_knows_one_secret_only() -> None:
    assert [client.further_secrets for client in Credentials().in_order(PROVIDER)] == [(), (), ()]


@pytest.mark.parametrize("outcome", [GRANTED, Refused("invalid_grant")])
def test_the_secret_that_was_taken_is_tried_first_from_then_on(outcome: Outcome) -> None:
    credentials = Credentials()
    credentials.learn(credentials.in_order(PROVIDER)[1], outcome)
    assert order(credentials) == ["new", "old", "newest"]


@pytest.mark.parametrize("outcome", [Misconfigured("invalid_client"), Unclear("timeout"), Unavailable("connect")])
def test_an_outcome_that_does_not_show_it_teaches_nothing(outcome: Outcome) -> None:
    credentials = Credentials()
    credentials.learn(credentials.in_order(PROVIDER)[1], outcome)
    assert order(credentials) == ["old", "new", "newest"]


def test_a_public_client_and_one_secret_are_one_try() -> None:
    public, single = make_provider(auth_method="none", client_secret=None), make_provider()
    assert Credentials().in_order(public) == [public]
    assert Credentials().in_order(single) == [single]


@pytest.mark.parametrize("code", sorted(CLIENT_REFUSALS))
def test_a_refusal_of_ours_asks_for_another_secret(code: str) -> None:
    assert refuses_us(Misconfigured(code))


@pytest.mark.parametrize("outcome", [GRANTED, Refused("invalid_grant"), Misconfigured("invalid_request"), Unclear("x")])
def test_no_other_outcome_does(outcome: Outcome) -> None:
    assert not refuses_us(outcome)
