"""What may be asked of a linking, and what it means at a provider."""

from __future__ import annotations

import pytest

from support.core_world import World, provider
from tokenstore.core.model import Account, ProviderKind
from tokenstore.core.wishes import NO_WISHES, Wishes, hints, read_wishes, scopes_to_ask
from tokenstore.errors import InvalidRequest

LINK = "6b0e8f0e-3f0c-4f3b-9a55-1f0a8c1d2e3f"
WIDE = provider(scopes=("openid", "email", "files", "calendar", "offline_access"), prompt="consent")


def test_without_parameters_there_are_no_wishes() -> None:
    assert read_wishes({"scope": "", "unknown": "x"}) == NO_WISHES


def test_wishes_survive_the_way_through_parameters() -> None:
    given = {"scope": "b a", "prompt": "login consent", "login_hint": "ann@x", "link": LINK, "result": "query"}
    wishes = read_wishes(given)
    assert read_wishes(wishes.parameters()) == wishes
    assert wishes.reports
    assert str(wishes.link_id) == LINK


@pytest.mark.parametrize(
    ("name", "value"),
    [("prompt", "none"), ("prompt", "login none"), ("link", "7"), ("result", "fragment"), ("login_hint", "a\nb")],
)
def test_a_parameter_that_is_not_valid_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_wishes({name: value})
    assert [problem.pointer for problem in refused.value.errors] == [name]


def test_all_configured_scopes_are_asked_for_unless_fewer_are_wished() -> None:
    assert scopes_to_ask(WIDE, NO_WISHES) == WIDE.scopes


def test_fewer_scopes_keep_what_lasting_access_needs() -> None:
    assert scopes_to_ask(WIDE, Wishes(frozenset({"files"}))) == ("openid", "files", "offline_access")


def test_a_renewed_link_loses_no_scope() -> None:
    world = World(WIDE)
    link = world.link(scopes=frozenset({"openid", "calendar", "gone-from-the-settings"}))
    asked = scopes_to_ask(WIDE, Wishes(frozenset({"files"})), link)
    assert asked == ("openid", "files", "calendar", "offline_access")


def test_a_scope_that_is_not_configured_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as refused:
        scopes_to_ask(WIDE, Wishes(frozenset({"admin"})))
    assert "admin" not in refused.value.detail


def test_a_wished_prompt_comes_on_top_of_the_configured_one() -> None:
    assert hints(WIDE, Wishes(prompts=("select_account", "consent"))) == {"prompt": "consent select_account"}
    assert hints(WIDE, NO_WISHES) == {}


@pytest.mark.parametrize(("kind", "hinted"), [(ProviderKind.OIDC, {"login_hint": "a@x"}), (ProviderKind.OAUTH2, {})])
def test_renewing_a_link_hints_at_its_account_where_that_is_understood(
    kind: ProviderKind, hinted: dict[str, str]
) -> None:
    world = World(provider(kind=kind))
    link = world.change(world.link(), account=Account("https://idp.example", "a-1", email="a@x"))
    assert hints(world.provider, NO_WISHES, link) == hinted
    assert hints(world.provider, Wishes(login_hint="b@x"), link) == {"login_hint": "b@x"}
