"""What answers teach."""

from __future__ import annotations

from datetime import timedelta

from tokenstore.core.lessons import Fact, of_linking, of_refresh
from tokenstore.core.model import TokenSet
from tokenstore.core.secret import Secret

BARE = TokenSet(Secret("at"))
FULL = TokenSet(
    Secret("at"),
    expires_in=timedelta(hours=1),
    refresh_token=Secret("new"),
    refresh_expires_in=timedelta(days=1),
    scopes=frozenset({"a"}),
    id_token=Secret("a.b.c"),
)


def test_a_bare_linking_teaches_what_is_missing() -> None:
    assert of_linking(BARE) == {
        Fact("refresh-token", "not given"),
        Fact("expiry", "unknown"),
        Fact("scope", "not sent"),
    }


def test_a_full_linking_teaches_what_is_there() -> None:
    assert of_linking(FULL) == {
        Fact("refresh-token", "given"),
        Fact("refresh-token-expiry", "sent"),
        Fact("expiry", "known"),
        Fact("scope", "sent"),
    }


def test_a_new_refresh_token_shows_rotation_and_the_same_or_none_does_not() -> None:
    assert Fact("rotates", "yes") in of_refresh(FULL, Secret("old"))
    assert Fact("rotates", "no") in of_refresh(FULL, Secret("new"))
    assert Fact("rotates", "no") in of_refresh(BARE, Secret("old"))


def test_a_refresh_shows_whether_an_id_token_comes() -> None:
    assert Fact("id-token-on-refresh", "sent") in of_refresh(FULL, Secret("old"))
    assert Fact("id-token-on-refresh", "not sent") in of_refresh(BARE, Secret("old"))
