"""The demo providers are as strict as they claim: everything here goes over real HTTP."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt

from demo.browser import Browser, origin_of
from demo.config import Account, Client, Kind, ProviderConfig, Rotation
from demo.person import Person
from demo.server import RunningProvider
from support.relying_party import CALLBACK, RelyingParty, demo_config, query_of


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningProvider]:
    with RunningProvider(demo_config()) as provider:
        yield provider


@pytest.fixture
def party(shared: RunningProvider) -> RelyingParty:
    return RelyingParty(shared)


def with_rotation(rotation: Rotation) -> RunningProvider:
    return RunningProvider(demo_config(rotation=rotation))


def test_metadata_satisfies_the_discovery_specification(party: RelyingParty) -> None:
    metadata = party.send("GET", "/.well-known/openid-configuration").fields

    OpenIDProviderMetadata(metadata).validate()
    assert metadata["issuer"] == party.provider.issuer
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


def test_published_keys_hold_no_private_part(party: RelyingParty) -> None:
    (key,) = party.send("GET", "/jwks").fields["keys"]

    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}


def test_approved_request_comes_back_with_code_state_and_iss(party: RelyingParty) -> None:
    callback = party.callback()

    assert callback.keys() == {"code", "state", "iss"}
    assert callback["state"] == "the-state"
    assert callback["iss"] == party.provider.issuer


def test_refused_request_comes_back_as_access_denied_with_iss(party: RelyingParty) -> None:
    callback = query_of(party.person.deny(party.authorization_url(prompt="consent")))

    assert (callback["error"], callback["state"]) == ("access_denied", "the-state")
    assert callback["iss"] == party.provider.issuer


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
    ],
    ids=["none", "method-only", "no-method", "plain", "malformed"],
)
def test_request_without_proper_pkce_is_refused(party: RelyingParty, changes: dict[str, str | None]) -> None:
    callback = query_of(party.person.approve(party.authorization_url(**changes)))

    assert callback["error"] == "invalid_request"
    assert callback["iss"] == party.provider.issuer


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/callback/", "http://evil.example/", 'http://x/"', None])
def test_unregistered_redirect_uri_is_never_redirected_to(party: RelyingParty, uri: str | None) -> None:
    page = Browser().get(party.authorization_url(redirect_uri=uri), within="nowhere")

    assert page.status == 400
    assert page.location is None


def test_scope_that_is_not_the_clients_is_refused(party: RelyingParty) -> None:
    assert party.callback(scope="openid admin")["error"] == "invalid_scope"


def test_reused_nonce_is_refused(party: RelyingParty) -> None:
    party.callback(nonce="once")

    assert party.callback(nonce="once")["error"] == "invalid_request"


def test_id_token_names_person_client_and_nonce(party: RelyingParty) -> None:
    callback = party.callback(nonce="the-nonce")
    tokens = party.exchange(callback["code"]).fields

    id_token = jwt.decode(tokens["id_token"], party.provider.state.keys.key_set(), ["RS256"])

    claims = id_token.claims
    assert (claims["iss"], claims["aud"]) == (party.provider.issuer, party.client.client_id)
    assert (claims["sub"], claims["nonce"]) == (party.account.subject, "the-nonce")
    assert claims["email_verified"] is True


def test_wrong_verifier_is_refused(party: RelyingParty) -> None:
    answer = party.exchange(party.code(), code_verifier="x" * 43)

    assert (answer.status, answer.fields["error"]) == (400, "invalid_grant")


def test_code_spent_twice_ends_the_grant(party: RelyingParty) -> None:
    code = party.code()
    tokens = party.exchange(code).fields

    assert party.exchange(code).fields["error"] == "invalid_grant"
    assert party.provider.state.is_family_revoked(tokens["refresh_token"])


def test_code_ends_after_a_minute() -> None:
    with with_rotation("strict") as provider:
        party = RelyingParty(provider)
        code = party.code()
        provider.state.clock.advance(61)

        assert party.exchange(code).fields["error"] == "invalid_grant"


def test_wrong_client_secret_is_refused(party: RelyingParty) -> None:
    form = {"grant_type": "authorization_code", "code": "x", "client_id": "store", "client_secret": "wrong"}

    answer = party.send("POST", "/token", form)

    assert (answer.status, answer.fields["error"]) == (401, "invalid_client")


def test_client_may_authenticate_in_the_body(party: RelyingParty) -> None:
    refresh_token = party.link()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}

    answer = party.send("POST", "/token", form | {"client_id": "store", "client_secret": party.client.client_secret})

    assert answer.status == 200


def test_client_authenticating_in_two_ways_is_refused(party: RelyingParty) -> None:
    answer = party.refresh(party.link()["refresh_token"], client_secret=party.client.client_secret)

    assert answer.fields["error"] == "invalid_request"


def test_secrets_in_the_query_of_the_token_endpoint_are_refused(party: RelyingParty) -> None:
    answer = party.post(f"/token?refresh_token={party.link()['refresh_token']}", grant_type="refresh_token")

    assert answer.fields["error"] == "invalid_request"


def test_no_refresh_token_without_offline_access(party: RelyingParty) -> None:
    online = replace(party, scope="openid email")

    assert "refresh_token" not in online.link()


def test_userinfo_answers_what_the_scope_opens(party: RelyingParty) -> None:
    token = replace(party, scope="openid email").link()["access_token"]

    claims = party.userinfo(token).fields

    assert claims == {"sub": party.account.subject, "email": party.account.email, "email_verified": True}


def test_userinfo_refuses_an_unknown_token(party: RelyingParty) -> None:
    answer = party.userinfo("guess")

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_ended_access_token_is_refused_by_userinfo() -> None:
    with with_rotation("strict") as provider:
        party = RelyingParty(provider)
        token = party.link()["access_token"]
        provider.state.clock.advance(3601)

        assert party.userinfo(token).status == 401


def test_strict_rotation_replaces_the_refresh_token(party: RelyingParty) -> None:
    first = party.link()["refresh_token"]

    second = party.refresh(first).fields["refresh_token"]

    assert second != first
    assert party.refresh(second).status == 200


def test_reuse_under_strict_revokes_the_whole_family(party: RelyingParty) -> None:
    first = party.link()
    second = party.refresh(first["refresh_token"]).fields

    assert party.refresh(first["refresh_token"]).fields["error"] == "invalid_grant"
    assert party.refresh(second["refresh_token"]).fields["error"] == "invalid_grant"
    assert party.userinfo(second["access_token"]).status == 401
    assert party.provider.state.is_family_revoked(second["refresh_token"])


def test_fifty_parallel_refreshes_under_strict_revoke_the_family(party: RelyingParty) -> None:
    refresh_token = party.link()["refresh_token"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(party.refresh, [refresh_token] * 50))

    assert sorted(answer.status for answer in answers) == [200] + [400] * 49
    assert party.provider.state.is_family_revoked(refresh_token)


def test_reuse_of_one_family_leaves_the_others_alone(party: RelyingParty) -> None:
    used, other = party.link()["refresh_token"], party.link()["refresh_token"]
    party.refresh(used)
    party.refresh(used)

    assert party.refresh(other).status == 200


def test_refresh_token_of_another_client_is_refused_without_harm(party: RelyingParty) -> None:
    party.provider.state.register(Client("other", (CALLBACK,), client_secret="other-secret"))
    refresh_token = party.link()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}

    answer = party.send("POST", "/token", form | {"client_id": "other", "client_secret": "other-secret"})

    assert answer.fields["error"] == "invalid_grant"
    assert not party.provider.state.is_family_revoked(refresh_token)


def test_used_token_within_grace_answers_with_the_successor() -> None:
    with with_rotation("grace") as provider:
        party = RelyingParty(provider)
        first = party.link()["refresh_token"]
        second = party.refresh(first).fields["refresh_token"]

        again = party.refresh(first)

        assert (again.status, again.fields["refresh_token"]) == (200, second)
        assert party.refresh(second).status == 200


def test_used_token_after_the_grace_revokes_the_family() -> None:
    with with_rotation("grace") as provider:
        party = RelyingParty(provider)
        first = party.link()["refresh_token"]
        party.refresh(first)
        provider.state.clock.advance(31)

        assert party.refresh(first).fields["error"] == "invalid_grant"
        assert provider.state.is_family_revoked(first)


def test_keep_old_gives_new_tokens_and_takes_the_old_ones() -> None:
    with with_rotation("keep-old") as provider:
        party = RelyingParty(provider)
        first = party.link()["refresh_token"]
        second = party.refresh(first).fields["refresh_token"]

        assert second != first
        assert party.refresh(first).status == 200
        assert party.refresh(second).status == 200


def test_without_rotation_the_answer_brings_no_refresh_token() -> None:
    with with_rotation("none") as provider:
        party = RelyingParty(provider)
        first = party.link()["refresh_token"]

        assert "refresh_token" not in party.refresh(first).fields
        assert party.refresh(first).status == 200


def test_widened_scope_on_refresh_is_refused(party: RelyingParty) -> None:
    linked = replace(party, scope="openid offline_access").link()

    assert party.refresh(linked["refresh_token"], scope="openid email").fields["error"] == "invalid_scope"


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_any_token_ends_the_grant(party: RelyingParty, which: str) -> None:
    tokens = party.link()

    assert party.revoke(tokens[which]).status == 200
    assert party.refresh(tokens["refresh_token"]).fields["error"] == "invalid_grant"
    assert party.userinfo(tokens["access_token"]).status == 401


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_a_token_ends_it_alone_where_that_is_the_policy(which: str) -> None:
    with RunningProvider(demo_config(revocation="token")) as provider:
        party = RelyingParty(provider)
        tokens = party.link()
        party.revoke(tokens[which])

        live = provider.state.live_refresh_tokens(party.account.subject)
        assert live == ([tokens["refresh_token"]] if which == "access_token" else [])
        assert party.userinfo(tokens["access_token"]).status == (401 if which == "access_token" else 200)
        assert party.refresh(tokens["refresh_token"]).status == (200 if which == "access_token" else 400)


def test_revoking_an_unknown_token_is_no_error(party: RelyingParty) -> None:
    assert party.revoke("unknown").status == 200


def test_live_refresh_tokens_are_those_that_would_be_taken() -> None:
    with with_rotation("strict") as provider:
        party = RelyingParty(provider)
        gone = party.link()["refresh_token"]
        party.revoke(gone)
        kept = party.refresh(party.link()["refresh_token"]).fields["refresh_token"]

        assert provider.state.live_refresh_tokens(party.account.subject) == [kept]


def test_login_is_remembered_until_prompt_asks_for_it_again(party: RelyingParty) -> None:
    person = party.person
    person.approve(party.authorization_url())
    origin = party.provider.issuer

    silent = person.browser.get(party.authorization_url(), within=origin)
    consent = person.browser.get(party.authorization_url(prompt="consent"), within=origin)
    login = person.browser.get(party.authorization_url(prompt="login"), within=origin)

    assert "code" in query_of(silent.location or "")
    assert consent.form("decision") is not None
    assert login.form("password") is not None
    assert "code" in query_of(person.answer(login, within=origin).location or "")


def test_prompt_none_without_login_is_an_error(party: RelyingParty) -> None:
    assert party.callback(prompt="none")["error"] == "login_required"


def test_wrong_password_shows_the_form_again(party: RelyingParty) -> None:
    browser = Browser()
    form = browser.get(party.authorization_url()).form("password")
    assert form is not None

    page = browser.submit(form, username="alice", password="wrong")

    assert page.status == 403
    again = page.form("password")
    assert again is not None
    assert again.fields["username"] == "alice"


@pytest.mark.parametrize("foreign", [False, True], ids=["without its token", "of another browser"])
def test_sign_in_form_out_of_date_signs_nobody_in_and_is_shown_anew(party: RelyingParty, foreign: bool) -> None:
    browser = Browser()
    form = browser.get(party.authorization_url()).form("password")
    assert form is not None
    sender = Browser() if foreign else browser
    csrf = form.fields["csrf"] if foreign else "guess"

    page = sender.submit(form, username="alice", password=party.account.password, csrf=csrf)

    assert page.status == 403
    assert page.location is None
    again = page.form("password")
    assert again is not None
    signed_in = sender.submit(again, within=origin_of(page.url), username="alice", password=party.account.password)
    assert signed_in.status < 400
    assert signed_in.form("password") is None


def test_another_account_can_be_chosen_in_the_same_browser(party: RelyingParty) -> None:
    alice = party.person
    alice.approve(party.authorization_url())
    bob = Person(party.provider.config.accounts[1], alice.browser)

    callback = query_of(bob.approve(party.authorization_url(prompt="consent")))

    token = party.exchange(callback["code"]).fields["access_token"]
    assert party.userinfo(token).fields["preferred_username"] == "bob"


def test_sign_out_with_an_id_token_leads_back_to_a_registered_address() -> None:
    back = "http://127.0.0.1:9/signed-out"
    client = Client("store", (CALLBACK,), post_logout_redirect_uris=(back,))
    with RunningProvider(ProviderConfig("Login", clients=(client,), accounts=(Account.named("alice"),))) as provider:
        party = RelyingParty(provider)
        person = party.person
        code = query_of(person.approve(party.authorization_url()))["code"]
        hint = party.exchange(code).fields["id_token"]

        wrong = person.browser.get(
            f"{provider.issuer}/end_session?id_token_hint={hint}&post_logout_redirect_uri={back}/x", within="here"
        )
        right = person.browser.get(
            f"{provider.issuer}/end_session?id_token_hint={hint}&post_logout_redirect_uri={back}&state=s", within="here"
        )

        assert wrong.location is None
        assert right.location == f"{back}?state=s"
        assert person.browser.get(party.authorization_url()).form("password") is not None


def test_sign_out_without_an_id_token_asks_first(party: RelyingParty) -> None:
    person = party.person
    person.approve(party.authorization_url())
    page = person.browser.get(f"{party.provider.issuer}/end_session?post_logout_redirect_uri={CALLBACK}")
    form = page.form("csrf")
    assert form is not None

    done = person.browser.submit(form)

    assert (done.status, done.location) == (200, None)
    assert person.browser.get(party.authorization_url()).form("password") is not None


def test_garbage_as_id_token_hint_is_a_page(party: RelyingParty) -> None:
    assert party.send("GET", "/end_session?id_token_hint=%22garbage%22").status == 400


def test_jwt_access_tokens_are_for_the_configured_audience() -> None:
    client = Client("store", (CALLBACK,), audience=("store-api",))
    account = Account.named("alice", {"roles": ["user"]})
    config = ProviderConfig("Login", clients=(client,), accounts=(account,), jwt_access_tokens=True)
    with RunningProvider(config) as provider:
        token = jwt.decode(
            RelyingParty(provider, scope="openid").link()["access_token"], provider.state.keys.key_set(), ["RS256"]
        )

        assert token.header["typ"] == "at+jwt"
        assert (token.claims["aud"], token.claims["azp"]) == (["store-api"], "store")
        assert (token.claims["sub"], token.claims["roles"]) == (account.subject, ["user"])


def test_minted_access_token_verifies_and_opens_userinfo(party: RelyingParty) -> None:
    state = party.provider.state
    minted = state.mint_access_token(party.account.subject, "api", "openid", azp="cli")

    claims = jwt.decode(minted, state.keys.key_set(), ["RS256"]).claims

    assert (claims["aud"], claims["azp"], claims["iss"]) == ("api", "cli", party.provider.issuer)
    assert party.userinfo(minted).fields == {"sub": party.account.subject}


@pytest.mark.parametrize("keep_old", [True, False])
def test_rotated_keys_are_published_as_asked(keep_old: bool) -> None:
    with with_rotation("strict") as provider:
        old = provider.state.keys.current().kid
        new = provider.state.keys.rotate(keep_old=keep_old).kid

        published = [key["kid"] for key in RelyingParty(provider).send("GET", "/jwks").fields["keys"]]

        assert published == ([old, new] if keep_old else [new])


@pytest.fixture(scope="module")
def plain() -> Iterator[RelyingParty]:
    kind: Kind = "oauth2"
    client = Client("store", (CALLBACK,), scopes=("read:user",))
    config = ProviderConfig("Forge", kind=kind, clients=(client,), accounts=(Account.named("alice"),))
    with RunningProvider(config) as provider:
        yield RelyingParty(provider, scope="read:user")


def test_plain_oauth2_provider_has_no_metadata(plain: RelyingParty) -> None:
    assert plain.send("GET", "/.well-known/openid-configuration").status == 404


def test_plain_oauth2_token_set_has_neither_end_nor_refresh_token(plain: RelyingParty) -> None:
    assert plain.link().keys() == {"access_token", "token_type", "scope"}


def test_plain_oauth2_answers_with_a_form_unless_json_is_asked_for(plain: RelyingParty) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": plain.code(),
        "redirect_uri": CALLBACK,
        "code_verifier": plain.verifier,
        "client_id": "store",
        "client_secret": plain.client.client_secret,
    }

    answer = plain.send("POST", "/token", form)

    assert answer.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert answer.fields["token_type"] == "Bearer"


def test_plain_oauth2_errors_come_with_status_200(plain: RelyingParty) -> None:
    answer = plain.exchange("unknown")

    assert (answer.status, answer.fields["error"]) == (200, "invalid_grant")


def test_plain_oauth2_user_has_a_number_and_a_login(plain: RelyingParty) -> None:
    user = plain.userinfo(plain.link()["access_token"], "/user").fields

    assert (user["id"], user["login"]) == (int(plain.account.subject), "alice")


def test_stopped_provider_comes_back_on_its_port_with_its_grants() -> None:
    provider = with_rotation("strict").start()
    party = RelyingParty(provider)
    refresh_token, issuer = party.link()["refresh_token"], provider.issuer

    provider.stop()
    with pytest.raises(ConnectionRefusedError):
        party.refresh(refresh_token)

    with provider.start():
        assert provider.issuer == issuer
        assert party.refresh(refresh_token).status == 200


def test_provider_in_its_own_process_is_used_and_controlled_over_http() -> None:
    command = [sys.executable, "-m", "demo.provider", "--redirect-uri", CALLBACK, "--account", "alice", "--lifetime=50"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            client = Client(told["client_id"], (CALLBACK,), client_secret=told["client_secret"])
            account = replace(Account.named("alice"), password=told["accounts"]["alice"])
            provider = RunningProvider(ProviderConfig("away", clients=(client,), accounts=(account,)))
            provider.state.issuer = told["issuer"]
            party = RelyingParty(provider)
            refresh_token = party.link()["refresh_token"]
            headers = {"X-Control-Key": told["control_key"], "Content-Type": "application/json"}
            order = {"fault": "status", "value": 503, "times": 1}
            person = Browser()
            refused = person.get(f"{told['issuer']}/_control")
            knobs = _post_json(party, "/_control", order, headers)["knobs"]
            failed, worked = party.refresh(refresh_token), party.refresh(refresh_token)
            calls = person.get(f"{told['issuer']}/_control", headers=headers).json()["calls"]
        finally:
            process.terminate()

    assert refused.status == 403
    assert knobs["status"] == {"value": 503, "remaining": 1, "fail_at": ["token"]}
    assert (failed.status, worked.status) == (503, 200)
    assert [call["outcome"] for call in calls if call["grant_type"] == "refresh_token"] == ["503", "200"]
    assert refresh_token not in json.dumps(calls)
    assert process.returncode == 0


def _post_json(party: RelyingParty, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(party.provider.issuer.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", path, json.dumps(body), headers)
        answer = json.load(connection.getresponse())
    finally:
        connection.close()
    assert isinstance(answer, dict)
    return answer
