"""Where providers put their tokens: recorded shapes, and whatever else may come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.issuing import make_provider
from tokenstore.core.model import Granted, Outcome, TokenSet, Unclear
from tokenstore.core.secret import Secret
from tokenstore.providers.tokensets import MOST_OTHERS, read_tokens

SLACK = make_provider(token_path="authed_user", token_types=frozenset({"user"}), scope_separator=",")
GLOBUS = make_provider(extra_tokens_path="other_tokens", keep_fields=("resource_server",))
SLACK_LINKED: dict[str, Any] = {
    "ok": True,
    "access_token": "xoxb-bot",
    "token_type": "bot",
    "scope": "commands",
    "team": {"id": "T9TK3CUKW", "name": "Demo"},
    "authed_user": {
        "id": "U1234",
        "scope": "chat:write,users:read",
        "access_token": "xoxe.xoxp-1",
        "refresh_token": "xoxe-1",
        "expires_in": 43200,
        "token_type": "user",
    },
}
GLOBUS_LINKED: dict[str, Any] = {
    "access_token": "main",
    "expires_in": 172800,
    "resource_server": "auth.globus.org",
    "token_type": "Bearer",
    "scope": "openid email",
    "refresh_token": "main-refresh",
    "other_tokens": [
        {
            "access_token": "transfer",
            "refresh_token": "transfer-refresh",
            "expires_in": 172800,
            "resource_server": "transfer.api.globus.org",
            "token_type": "Bearer",
            "scope": "urn:globus:auth:scope:transfer.api.globus.org:all",
        }
    ],
}


def read(members: dict[str, Any], provider: Any = SLACK, *keep: str) -> TokenSet:
    outcome = read_tokens(provider, members, keep)
    assert isinstance(outcome, Granted), outcome
    return outcome.tokens


def test_a_nested_token_is_the_one_of_the_person() -> None:
    found = read(SLACK_LINKED)
    assert (found.access_token, found.refresh_token) == (Secret("xoxe.xoxp-1"), Secret("xoxe-1"))
    assert found.expires_in == timedelta(seconds=43170)
    assert found.scopes == frozenset({"chat:write", "users:read"})


def test_where_nothing_is_nested_the_outer_object_holds_the_token() -> None:
    refreshed = {"ok": True, "access_token": "xoxe.xoxp-2", "refresh_token": "xoxe-2", "token_type": "user"}
    assert read(refreshed).access_token == Secret("xoxe.xoxp-2")


def test_the_token_of_a_bot_does_not_pass_for_the_one_of_the_person() -> None:
    without = {**SLACK_LINKED, "authed_user": {"id": "U1234"}}
    assert read_tokens(SLACK, without, ()) == Unclear("token-type")


def test_kept_fields_come_from_the_outer_object() -> None:
    provider = make_provider(token_path="authed_user", token_types=frozenset({"user"}), keep_fields=("team.id", "gone"))
    assert read(SLACK_LINKED, provider, "authed_user.id").extra == {"team.id": "T9TK3CUKW", "authed_user.id": "U1234"}


def test_tokens_of_further_resource_servers_come_without_their_refresh_tokens() -> None:
    found = read(GLOBUS_LINKED, GLOBUS)
    assert found.extra == {"resource_server": "auth.globus.org"}
    assert found.others == {
        "transfer.api.globus.org": TokenSet(
            Secret("transfer"),
            expires_in=timedelta(seconds=172770),
            scopes=frozenset({"urn:globus:auth:scope:transfer.api.globus.org:all"}),
        )
    }


@pytest.mark.parametrize(
    "others",
    [
        None,
        {},
        "x",
        [1, None, []],
        [{"access_token": "a", "token_type": "Bearer"}],
        [{"resource_server": "s", "token_type": "Bearer"}],
        [{"resource_server": "s", "access_token": "a"}],
        [{"resource_server": "s", "access_token": "a", "token_type": "mac"}],
        [{"resource_server": "", "access_token": "a", "token_type": "Bearer"}],
    ],
)
def test_a_further_token_that_is_not_in_order_is_passed_over(others: object) -> None:
    found = read({**GLOBUS_LINKED, "other_tokens": others}, GLOBUS)
    assert (found.access_token, found.others) == (Secret("main"), {})


def test_of_further_tokens_for_one_server_the_first_counts_and_there_is_a_most() -> None:
    item = {"access_token": "first", "token_type": "bearer", "resource_server": "s"}
    many = [item, {**item, "access_token": "second"}]
    many += [{**item, "resource_server": f"s{number}"} for number in range(20)]
    found = read({**GLOBUS_LINKED, "other_tokens": many}, GLOBUS).others
    assert found["s"].access_token == Secret("first")
    assert len(found) == MOST_OTHERS


def test_further_tokens_without_the_setting_are_not_read() -> None:
    assert read(GLOBUS_LINKED, make_provider()).others == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
names = ["access_token", "refresh_token", "token_type", "expires_in", "scope", "id_token", "resource_server", "team"]
objects = st.dictionaries(st.sampled_from(names), st.sampled_from(["a", "bearer", 60]) | values)
answers = st.builds(
    lambda outer, nested, others: {**outer, "authed_user": nested, "other_tokens": others},
    objects,
    objects | values,
    st.lists(objects, max_size=12) | values,
)


@given(answers)
def test_whatever_comes_is_granted_well_formed_or_unclear(members: dict[str, Any]) -> None:
    provider = make_provider(
        token_path="authed_user", extra_tokens_path="other_tokens", keep_fields=("team", "team.id", "resource_server")
    )
    outcome: Outcome = read_tokens(provider, members, ())
    assert isinstance(outcome, Granted | Unclear)
    if isinstance(outcome, Granted):
        found = outcome.tokens
        assert found.access_token.reveal().isprintable()
        assert len(found.others) <= MOST_OTHERS
        assert set(found.extra) <= {"team", "team.id", "resource_server"}
        for server, other in found.others.items():
            assert server
            assert other.refresh_token is None
            assert other.scopes is not None
