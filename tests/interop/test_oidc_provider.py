"""The store with a provider that nobody of us wrote, as login provider and as token provider, over real HTTP."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from demo.browser import Page
from demo.client import Answer, call
from support.harness import in_parallel
from support.interop import OTHER, PROGRAM, STORE, Visitor, World
from support.store import API
from support.urls import query_of, with_query
from support.waiting import eventually

# One world for all of them.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(120), pytest.mark.xdist_group("interop")]

LONGEST_DOUBT = 31
CALLERS = 50
RACES = 10


def whoami(visitor: Visitor) -> Page:
    return visitor.open("/api/whoami")


def refresh_calls(world: World) -> list[dict[str, object]]:
    return world.other.calls("refresh_token")


def newest_refresh_token(world: World) -> str:
    """The refresh token that the provider gave out last."""
    return str(next(call["refresh_token"] for call in reversed(world.other.calls()) if "refresh_token" in call))


def test_login_names_the_person_by_what_the_provider_says(visitor: Visitor) -> None:
    page = visitor.log_in()

    assert (page.status, page.url) == (200, f"{visitor.world.url}/")
    assert whoami(visitor).json()["id"] == visitor.name
    assert f"{visitor.name} by name" in page.text


def test_the_provider_requires_pkce(visitor: Visitor, world: World) -> None:
    begun = visitor.browser.get(f"{world.url}/api/oidc/login", within=world.url)

    refused = visitor.browser.get(
        with_query(str(begun.location), code_challenge=None, code_challenge_method=None), within=world.login.issuer
    )

    assert query_of(str(refused.location))["error"] == "invalid_request"


def test_linking_names_the_account_and_gives_a_token_that_the_provider_takes(visitor: Visitor, world: World) -> None:
    visitor.link()

    [link] = visitor.authorization()["links"]
    account = link["account"]
    assert (account["subject"], account["email"]) == (visitor.account, f"{visitor.account}@example.org")
    token = visitor.token().json()["access_token"]
    who = call(world.other.issuer, "GET", "/me", bearer=token)
    assert (who.status, who.json()["sub"]) == (200, visitor.account)


def test_a_callback_with_another_issuer_links_nothing(visitor: Visitor, world: World) -> None:
    visitor.log_in()
    callback = visitor.callback()
    assert query_of(callback)["iss"] == world.other.issuer

    page = visitor.browser.get(with_query(callback, iss=world.login.issuer))

    assert page.status == 400
    assert visitor.authorization()["links"] == []


def test_who_presses_cancel_at_the_provider_links_nothing(visitor: Visitor, world: World) -> None:
    visitor.log_in()

    back = world.other.refuse(visitor.browser, visitor.begin_linking())
    assert query_of(str(back.location))["error"] == "access_denied"
    page = visitor.browser.get(str(back.location))

    assert page.status < 500
    assert visitor.authorization()["links"] == []


def test_programs_show_a_jwt_or_an_opaque_token(visitor: Visitor, world: World) -> None:
    for bearer in (visitor.bearer(), visitor.opaque_bearer()):
        who = call(world.url, "GET", "/api/whoami", bearer=bearer)
        assert (who.status, who.json()["id"]) == (200, visitor.name)


def test_a_token_for_no_audience_is_not_taken(visitor: Visitor, world: World) -> None:
    assert call(world.url, "GET", "/api/whoami", bearer=visitor.access_token(None)).status == 401


def test_an_opaque_token_that_the_provider_ended_is_not_taken(visitor: Visitor, world: World) -> None:
    bearer = visitor.opaque_bearer()
    status, _ = world.login.post("/token/revocation", PROGRAM, token=bearer)
    assert status == 200

    assert call(world.url, "GET", "/api/whoami", bearer=bearer).status == 401


def test_a_forced_refresh_rotates_and_the_new_refresh_token_is_kept(visitor: Visitor, world: World) -> None:
    visitor.link()
    first, given = visitor.token().json()["access_token"], newest_refresh_token(world)
    before = len(refresh_calls(world))

    for number in (1, 2):
        world.let_pass(31)
        forced = visitor.token(force="true")
        assert (forced.status, forced.json()["cached"]) == (200, False)
        assert forced.json()["access_token"] != first
        assert [call["status"] for call in refresh_calls(world)[before:]] == [200] * number
    assert newest_refresh_token(world) != given
    assert not world.other.is_active(STORE, given)
    assert world.other.is_active(STORE, newest_refresh_token(world))


def test_fifty_callers_over_two_processes_cause_one_refresh_and_the_link_lives(visitor: Visitor, world: World) -> None:
    visitor.link()

    # The system hands connections out as it likes: race until both processes had a part in one race.
    for _ in range(RACES):
        if len(race(visitor, world)) == 2:
            break
    else:
        pytest.fail("one process took all requests each time")

    world.let_pass(31)
    assert visitor.token(force="true").status == 200
    assert world.other.is_active(STORE, newest_refresh_token(world))


def race(visitor: Visitor, world: World) -> set[str]:
    """One race for one expired token, everything about it checked; the processes that had a part in it."""
    old, before = visitor.token().json()["access_token"], len(refresh_calls(world))
    world.let_pass(4000)
    logged, bearer = len(world.log.read_text()), visitor.bearer()

    def ask(_: int) -> Answer:
        return call(world.url, "GET", f"{API}/{OTHER}/token", bearer=bearer)

    answers = in_parallel(CALLERS, ask)

    # Whoever was told to ask again does so.
    eventually(lambda: visitor.token().status == 200, "the token")
    given = {answer.json()["access_token"] for answer in answers if answer.status == 200}
    told = {(answer.status, answer.slug) for answer in answers}
    assert told <= {(200, None), (503, "refresh-in-progress")}, told
    assert given == {visitor.token().json()["access_token"]}
    assert given != {old}
    assert [call["status"] for call in refresh_calls(world)[before:]] == [200]
    return set(re.findall(rf"worker (\S+): GET {API}/{OTHER}/token", world.log.read_text()[logged:]))


def test_reuse_of_a_refresh_token_ends_the_link_and_linking_again_mends_it(visitor: Visitor, world: World) -> None:
    visitor.link()
    stolen = newest_refresh_token(world)
    world.let_pass(31)
    assert visitor.token(force="true").status == 200

    status, answer = world.other.post("/token", STORE, grant_type="refresh_token", refresh_token=stolen)
    assert (status, answer["error"]) == (400, "invalid_grant")
    world.let_pass(31)
    before = len(refresh_calls(world))
    doubted, again = visitor.token(force="true"), visitor.token(force="true")

    for told in (doubted, again):
        assert (told.status, told.slug) == (503, "refresh-in-progress")
        assert 1 <= int(told.headers["Retry-After"]) <= LONGEST_DOUBT
    assert visitor.authorization()["status"] == "checking"
    assert [call["status"] for call in refresh_calls(world)[before:]] == [400]

    world.let_pass(LONGEST_DOUBT)
    refused = visitor.token(force="true")

    assert (refused.status, refused.slug) == (409, "reauthorization-required")
    assert refused.json()["authorize_url"] == f"{world.url}/link/{OTHER}"
    assert visitor.authorization()["status"] == "reauthorization_required"
    assert [call["error"] for call in refresh_calls(world)[before:]] == ["invalid_grant"] * 2
    visitor.link()
    assert_link_is_alive(visitor)


def test_linking_the_same_account_again_keeps_the_link_alive(visitor: Visitor) -> None:
    visitor.link()

    visitor.link()

    assert len(visitor.authorization()["links"]) == 1
    assert_link_is_alive(visitor)


def assert_link_is_alive(visitor: Visitor) -> None:
    """Its refresh token is good, and the access token that comes of it too."""
    visitor.world.let_pass(31)
    forced = visitor.token(force="true")
    assert forced.status == 200, forced.text
    assert visitor.world.other.is_active(STORE, forced.json()["access_token"])


def test_unlinking_is_confirmed_and_nothing_stays_valid_there(visitor: Visitor, world: World) -> None:
    visitor.link()
    access, refresh = visitor.token().json()["access_token"], newest_refresh_token(world)

    answer = visitor.call("POST", f"{API}/{OTHER}/revoke")

    assert (answer.status, answer.headers["X-Upstream-Revocation"]) == (200, "confirmed")
    assert not world.other.is_active(STORE, access)
    assert not world.other.is_active(STORE, refresh)
    assert visitor.token().slug == "not-linked"


def test_an_account_can_be_linked_again_after_unlinking(visitor: Visitor) -> None:
    visitor.link()
    assert visitor.call("POST", f"{API}/{OTHER}/revoke").status == 200

    visitor.link()

    assert_link_is_alive(visitor)


def test_logout_ends_the_session_here_and_at_the_login_provider(visitor: Visitor, world: World) -> None:
    visitor.log_in()
    confirm = visitor.open("/api/oidc/logout")
    form = next(form for form in confirm.forms if form.action.endswith("/api/oidc/logout"))
    asks = visitor.browser.get(str(visitor.browser.submit(form).refresh))
    assert urlsplit(asks.url).path == "/session/end"

    page = world.login.log_out(visitor.browser, asks)

    assert (page.status, page.url) == (200, f"{world.url}/")
    assert whoami(visitor).status == 401
    assert visitor.open("/api/oidc/login").form("login", "password") is not None


def test_logout_at_the_login_provider_ends_the_session_here(visitor: Visitor, world: World) -> None:
    visitor.log_in()
    assert whoami(visitor).status == 200

    world.login.log_out(visitor.browser, visitor.browser.get(f"{world.login.issuer}/session/end"))

    assert whoami(visitor).status == 401


def test_logout_at_the_login_provider_leaves_other_sessions(visitor: Visitor, world: World) -> None:
    elsewhere = Visitor(world, visitor.name, visitor.account)
    for one in (visitor, elsewhere):
        one.log_in()

    world.login.log_out(visitor.browser, visitor.browser.get(f"{world.login.issuer}/session/end"))

    assert [whoami(one).status for one in (visitor, elsewhere)] == [401, 200]
