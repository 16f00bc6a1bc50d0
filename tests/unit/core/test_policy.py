"""The one authorisation function: default deny, over every kind of caller and every action."""

from __future__ import annotations

from typing import cast

import pytest

from support.core_world import ADA, provider
from tokenstore.core.model import Caller, CallerKind, Identity
from tokenstore.core.policy import Action, Policy
from tokenstore.errors import PolicyDenied

BOB = Identity(ADA.issuer, "bob")
SESSION = Caller(CallerKind.SESSION, ADA)
BEARER = Caller(CallerKind.BEARER, ADA, scopes=frozenset({"openid", "tokens"}))
PROGRAMS = (CallerKind.BEARER, CallerKind.BASIC, CallerKind.API_KEY)
EVERY_ACTION = list(Action)


@pytest.mark.parametrize("action", EVERY_ACTION)
@pytest.mark.parametrize("caller", [SESSION, BEARER], ids=["session", "bearer"])
def test_a_user_may_do_everything_with_own_links(caller: Caller, action: Action) -> None:
    Policy().require(caller, ADA, action, provider())


@pytest.mark.parametrize("action", EVERY_ACTION)
@pytest.mark.parametrize("caller", [SESSION, BEARER], ids=["session", "bearer"])
@pytest.mark.parametrize(
    "user", [BOB, Identity("https://other.example", "ada")], ids=["another subject", "another issuer"]
)
def test_nobody_may_do_anything_with_the_links_of_another(caller: Caller, action: Action, user: Identity) -> None:
    with pytest.raises(PolicyDenied):
        Policy().require(caller, user, action, provider())


@pytest.mark.parametrize("action", EVERY_ACTION)
@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_required_scope_is_demanded_of_programs_for_everything(kind: CallerKind, action: Action) -> None:
    program = Caller(kind, ADA, scopes=frozenset({"openid", "tokens"}))
    assert Policy("tokens").allows(program, ADA, action).allow
    refused = Policy("other").allows(program, ADA, action)
    assert (refused.allow, "'other'" in refused.reason) == (False, True)


def test_sessions_have_no_scopes_and_need_none() -> None:
    assert Policy("tokens").allows(SESSION, ADA, Action.TOKEN, provider()).allow


def test_a_provider_may_keep_its_tokens_from_browsers() -> None:
    guarded = provider(browser_tokens=False)
    assert not Policy().allows(SESSION, ADA, Action.TOKEN, guarded).allow
    assert Policy().allows(BEARER, ADA, Action.TOKEN, guarded).allow


@pytest.mark.parametrize("action", [Action.LIST, Action.LINK, Action.UNLINK])
def test_a_provider_that_keeps_its_tokens_from_browsers_is_linked_in_one(action: Action) -> None:
    assert Policy().allows(SESSION, ADA, action, provider(browser_tokens=False)).allow


def test_an_unknown_kind_of_caller_may_do_nothing() -> None:
    stranger = Caller(cast("CallerKind", "ghost"), ADA)  # what a later kind looks like to this function
    assert not Policy().allows(stranger, ADA, Action.LIST).allow
