"""The provider client over real HTTP: against the strict demo providers, and against servers made up for one fault."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.config import Account as DemoAccount
from demo.knobs import Fault
from demo.person import Person
from demo.server import RunningProvider
from support.hostile import HostileServer, Received, Script, answers, as_json, http, listener, resets, routes, silent
from support.issuing import NOW, RSA, id_claims, make_attempt, make_provider, public_keys, sign
from support.relying_party import CALLBACK, demo_config
from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    ISSUER_CHANGED,
    Account,
    Asked,
    Attempt,
    Endpoints,
    Granted,
    Misconfigured,
    Outcome,
    Provider,
    ProviderId,
    ProviderKind,
    Refused,
    RevocationResult,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.errors import LinkDenied, ProviderUnavailable
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Timeouts, Transport

WELL_KNOWN = "/.well-known/openid-configuration"


def make_client(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> HttpProviderClient:
    policy = AddressPolicy()
    transport = Transport(policy, timeouts=Timeouts(connect=1, read=1.5, deadline=3))
    discovery = Discovery(transport, policy)
    return HttpProviderClient(transport, discovery, KeySets(transport, discovery), now)


@pytest.fixture
def client() -> Iterator[HttpProviderClient]:
    made = make_client()
    yield made
    made.close()


@pytest.fixture
def fixed_client() -> Iterator[HttpProviderClient]:
    made = make_client(lambda: NOW)
    yield made
    made.close()


@dataclass
class Linking:
    """One person linking at one demo provider."""

    server: RunningProvider
    client: ProviderClient
    provider: Provider
    attempt: Attempt

    def callback(self) -> dict[str, list[str]]:
        url = self.client.authorization_url(self.provider, self.attempt)
        return parse_qs(urlsplit(Person(self.server.config.accounts[0]).approve(url)).query)

    def exchange(self) -> Outcome:
        return self.client.exchange(self.provider, self.attempt, Secret(self.callback()["code"][0]))

    def tokens(self) -> TokenSet:
        outcome = self.exchange()
        assert isinstance(outcome, Granted)
        return outcome.tokens

    def refresh(self, tokens: TokenSet, asked: Asked | None = None) -> Outcome:
        assert tokens.refresh_token is not None
        return self.client.refresh(self.provider, tokens.refresh_token, asked or Asked(), frozenset())


def fresh_attempt(provider: Provider) -> Attempt:
    state, nonce, verifier = (Secret(secrets.token_urlsafe(32)) for _ in range(3))
    attempt = make_attempt(provider)
    return replace(attempt, state=state, nonce=nonce, code_verifier=verifier)


@pytest.fixture
def linking(client: HttpProviderClient) -> Iterator[Linking]:
    with RunningProvider(demo_config(rotation="strict")) as server:
        ours = server.config.clients[0]
        provider = make_provider(
            client_id=ours.client_id,
            client_secret=Secret(ours.client_secret),
            redirect_uri=CALLBACK,
            issuer=server.issuer,
            discovery_url=server.discovery_url,
            endpoints=Endpoints(),
            scopes=("openid", "email", "profile", "offline_access"),
        )
        yield Linking(server, client, provider, fresh_attempt(provider))


def test_a_linking_at_a_strict_provider_ends_with_tokens_and_the_account(linking: Linking) -> None:
    person = linking.server.config.accounts[0]
    tokens = linking.tokens()
    found = linking.client.identify(linking.provider, linking.attempt, tokens).account
    assert (found.issuer, found.subject) == (linking.server.issuer, person.subject)
    assert (found.name, found.email, found.email_verified) == (person.name, person.email, True)
    assert tokens.refresh_token is not None
    assert tokens.expires_in == timedelta(seconds=3570)


def test_the_callback_issuer_is_the_one_that_the_provider_sends(linking: Linking) -> None:
    expected = linking.client.callback_issuer(linking.provider)
    assert (linking.callback()["iss"], expected.required) == ([expected.expected], True)


def test_a_refresh_rotates_and_the_old_token_is_refused(linking: Linking) -> None:
    tokens = linking.tokens()
    first = linking.refresh(tokens)
    assert isinstance(first, Granted)
    assert first.tokens.refresh_token not in (None, tokens.refresh_token)
    assert linking.refresh(tokens) == Refused("invalid_grant")


@pytest.mark.parametrize(
    ("fault", "value", "outcome"),
    [
        (Fault.STATUS, 503, Unavailable("status-503")),
        (Fault.STATUS, 500, Unavailable("status-500")),
        (Fault.STATUS, 429, Unavailable("status-429")),
        (Fault.ERROR, "invalid_grant", Refused("invalid_grant")),
        (Fault.ERROR, "invalid_client", Misconfigured("invalid_client")),
        (Fault.ERROR, "invalid_scope", ScopeRefused("invalid_scope")),
        (Fault.HTML_BODY, True, Unclear("no-token-answer")),
        (Fault.HUGE_BODY, 10_000_000, Unclear("too-large")),
        (Fault.HANG, True, Unclear("timeout")),
    ],
)
def test_a_fault_of_the_provider_has_its_outcome(linking: Linking, fault: Fault, value: Any, outcome: Outcome) -> None:
    tokens = linking.tokens()
    linking.server.knobs.set(fault, value, times=1)
    assert linking.refresh(tokens) == outcome


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER])
def test_a_dropped_connection_is_unclear_and_the_request_came_once(linking: Linking, fault: Fault) -> None:
    tokens = linking.tokens()
    before = len([call for call in linking.server.calls.all() if call.endpoint == "token"])
    linking.server.knobs.set(fault, times=1)
    assert isinstance(linking.refresh(tokens), Unclear)
    assert len([call for call in linking.server.calls.all() if call.endpoint == "token"]) == before + 1


def test_a_useless_answer_with_a_refresh_token_hands_it_over(linking: Linking) -> None:
    tokens = linking.tokens()
    linking.server.knobs.set(Fault.TOKEN_TYPE, "mac", times=1)
    outcome = linking.refresh(tokens)
    assert isinstance(outcome, Unclear)
    assert outcome.refresh_token is not None


def test_a_form_is_understood(linking: Linking) -> None:
    tokens = linking.tokens()
    linking.server.knobs.set(Fault.FORM_ENCODED, times=1)
    assert isinstance(linking.refresh(tokens), Granted)


def test_no_lifetime_and_no_refresh_token_are_taken_as_said(linking: Linking) -> None:
    tokens = linking.tokens()
    linking.server.knobs.set(Fault.NO_EXPIRES_IN)
    linking.server.knobs.set(Fault.NO_REFRESH_TOKEN)
    outcome = linking.refresh(tokens)
    assert isinstance(outcome, Granted)
    assert (outcome.tokens.expires_in, outcome.tokens.refresh_token) == (None, None)


def test_a_target_that_the_provider_cannot_be_told_is_refused_without_a_call(linking: Linking) -> None:
    tokens = linking.tokens()
    before = len(linking.server.calls.all())
    assert linking.refresh(tokens, Asked(audience="https://data.example")) == ScopeRefused("invalid_target")
    assert len(linking.server.calls.all()) == before


def test_an_id_token_about_somebody_else_links_nothing_when_userinfo_tells(linking: Linking) -> None:
    linking.server.knobs.set(Fault.ID_TOKEN_SUBJECT, linking.server.config.accounts[1].subject)
    tokens = linking.tokens()
    # The profile is only at userinfo, and userinfo is about the person who consented.
    provider = replace(linking.provider, name_field="nickname")
    with pytest.raises(LinkDenied):
        linking.client.identify(provider, linking.attempt, tokens)


def test_an_id_token_for_another_attempt_links_nothing(linking: Linking) -> None:
    tokens = linking.tokens()
    with pytest.raises(LinkDenied):
        linking.client.identify(linking.provider, fresh_attempt(linking.provider), tokens)


def test_a_refresh_that_brings_tokens_of_another_account_hands_them_over_and_is_refused(linking: Linking) -> None:
    tokens = linking.tokens()
    assert tokens.refresh_token is not None
    somebody_else = Account(linking.server.issuer, "somebody-else")
    outcome = linking.client.refresh(linking.provider, tokens.refresh_token, Asked(), frozenset(), somebody_else)
    assert isinstance(outcome, Refused)
    assert outcome.code == ACCOUNT_CHANGED
    assert outcome.received is not None
    assert outcome.received.refresh_token is not None
    assert outcome.account == Account(linking.server.issuer, linking.server.config.accounts[0].subject)
    assert linking.server.state.live_refresh_tokens() == [outcome.received.refresh_token.reveal()]


def test_a_refresh_by_another_issuer_hands_the_token_over_to_be_kept(linking: Linking) -> None:
    tokens = linking.tokens()
    assert tokens.refresh_token is not None
    renamed = Account("https://former.example", linking.server.config.accounts[0].subject)
    outcome = linking.client.refresh(linking.provider, tokens.refresh_token, Asked(), frozenset(), renamed)
    assert isinstance(outcome, Misconfigured)
    assert outcome.code == ISSUER_CHANGED
    assert outcome.refresh_token is not None
    assert linking.server.state.live_refresh_tokens() == [outcome.refresh_token.reveal()]


def test_revoking_ends_the_grant(linking: Linking) -> None:
    tokens = linking.tokens()
    assert tokens.refresh_token is not None
    assert linking.client.revoke(linking.provider, tokens.refresh_token) is RevocationResult.CONFIRMED
    assert linking.refresh(tokens) == Refused("invalid_grant")


def test_logout_leads_to_the_provider(linking: Linking) -> None:
    url = linking.client.end_session_url(linking.provider, None, "https://store.example/")
    assert url is not None
    assert url.startswith(f"{linking.server.issuer}/end_session?client_id=")


def test_a_provider_that_is_down_is_unavailable_and_comes_back(linking: Linking) -> None:
    tokens = linking.tokens()
    linking.server.stop()
    assert linking.refresh(tokens) == Unavailable("connect")
    linking.server.start()
    assert isinstance(linking.refresh(tokens), Granted)


def test_a_provider_without_openid_is_linked_by_its_userinfo(client: HttpProviderClient) -> None:
    accounts = (replace(DemoAccount.named("alice"), subject="583231"),)
    with RunningProvider(replace(demo_config(), kind="oauth2", accounts=accounts)) as server:
        ours = server.config.clients[0]
        provider = make_provider(
            kind=ProviderKind.OAUTH2,
            client_id=ours.client_id,
            client_secret=Secret(ours.client_secret),
            redirect_uri=CALLBACK,
            issuer=None,
            endpoints=Endpoints(
                authorize=f"{server.issuer}/authorize", token=f"{server.issuer}/token", userinfo=f"{server.issuer}/user"
            ),
            scopes=("profile",),
            subject_field="id",
            name_field="login",
        )
        linking = Linking(server, client, provider, fresh_attempt(provider))
        tokens = linking.tokens()
        assert (tokens.refresh_token, tokens.expires_in) == (None, None)
        account = client.identify(provider, linking.attempt, tokens).account
        assert (account.issuer, account.subject, account.name) == (server.issuer, "583231", "alice")
        assert client.revoke(provider, tokens.access_token) is RevocationResult.UNSUPPORTED
        assert client.end_session_url(provider, None, "/") is None
        with pytest.raises(LinkDenied):
            client.identify(provider, linking.attempt, replace(tokens, access_token=Secret("another")))


def openid_server(**userinfo: Any) -> dict[str, bytes | Callable[[Received], bytes]]:
    return {
        "/jwks": http(as_json(public_keys(RSA))),
        "/userinfo": http(as_json({"sub": id_claims()["sub"], **userinfo})),
    }


def provider_at(server: HostileServer, **changes: Any) -> Provider:
    names = ("authorize", "token", "jwks", "userinfo", "revoke")
    endpoints = Endpoints(**{name: f"{server.url}/{name}" for name in names})
    return make_provider(issuer=server.url, endpoints=endpoints, **changes)


def token_set(issuer: str, **claims: Any) -> TokenSet:
    return TokenSet(Secret("at"), id_token=sign(id_claims(iss=issuer, **claims)))


def test_userinfo_completes_what_the_id_token_leaves_out(fixed_client: HttpProviderClient) -> None:
    table = openid_server(name="Ada", email="ada@example.org", email_verified=False)
    with HostileServer(routes(table)) as server:
        provider = provider_at(server)
        tokens = token_set(server.url, email_verified=True)
        account = fixed_client.identify(provider, make_attempt(provider), tokens).account
    assert (account.name, account.email, account.email_verified) == ("Ada", "ada@example.org", False)


def test_userinfo_is_not_asked_when_the_id_token_says_everything(fixed_client: HttpProviderClient) -> None:
    with HostileServer(routes(openid_server())) as server:
        provider = provider_at(server)
        tokens = token_set(server.url, name="Ada", email="ada@example.org")
        fixed_client.identify(provider, make_attempt(provider), tokens)
        assert [received.path for received in server.requests] == ["/jwks"]


@pytest.mark.parametrize(
    "answer", [http(status=500), http(status=401), http(b"<html>"), http(b'{"name": "x"' + b" " * 70_000 + b"}")]
)
def test_a_failing_userinfo_does_not_matter_beside_an_id_token(fixed_client: HttpProviderClient, answer: bytes) -> None:
    with HostileServer(routes({**openid_server(), "/userinfo": answer})) as server:
        provider = provider_at(server)
        account = fixed_client.identify(provider, make_attempt(provider), token_set(server.url)).account
    assert (account.subject, account.name) == (id_claims()["sub"], None)


@pytest.mark.parametrize("subject", ["another", None, 248289761001])
def test_userinfo_about_another_subject_links_nothing(fixed_client: HttpProviderClient, subject: object) -> None:
    with HostileServer(routes(openid_server(sub=subject))) as server:
        provider = provider_at(server)
        with pytest.raises(LinkDenied):
            fixed_client.identify(provider, make_attempt(provider), token_set(server.url))


def test_no_id_token_links_nothing(fixed_client: HttpProviderClient) -> None:
    with HostileServer(routes(openid_server())) as server:
        provider = provider_at(server)
        with pytest.raises(LinkDenied):
            fixed_client.identify(provider, make_attempt(provider), TokenSet(Secret("at")))
        assert server.requests == []


@pytest.mark.parametrize("body", [{}, {"id": True}, {"id": 1.5}, {"id": None}, {"id": ""}, {"id": ["a"]}])
def test_userinfo_without_a_usable_subject_links_nothing(client: HttpProviderClient, body: dict[str, Any]) -> None:
    with HostileServer(routes({"/userinfo": http(as_json(body))})) as server:
        provider = provider_at(server, kind=ProviderKind.OAUTH2, subject_field="id")
        with pytest.raises(LinkDenied):
            client.identify(provider, make_attempt(provider), TokenSet(Secret("at")))


def test_the_token_response_says_who_it_is_where_there_is_no_userinfo(client: HttpProviderClient) -> None:
    body = {"access_token": "at", "token_type": "bearer", "orcid": "0000-0002-1825-0097", "name": "Ada", "more": 1}
    with HostileServer(routes({"/token": http(as_json(body))})) as server:
        endpoints = Endpoints(token=f"{server.url}/token")
        provider = make_provider(
            kind=ProviderKind.OAUTH2, endpoints=endpoints, issuer="https://orcid.example", subject_field="orcid"
        )
        attempt = make_attempt(provider)
        outcome = client.exchange(provider, attempt, Secret("code"))
        assert isinstance(outcome, Granted)
        account = client.identify(provider, attempt, outcome.tokens).account
    assert (account.issuer, account.subject, account.name) == ("https://orcid.example", "0000-0002-1825-0097", "Ada")
    assert set(outcome.tokens.extra) == {"orcid", "name"}


@pytest.mark.parametrize("script", [silent, resets, answers(http(status=503))], ids=["silent", "reset", "503"])
def test_keys_that_cannot_be_had_make_the_provider_unavailable(client: HttpProviderClient, script: Script) -> None:
    with HostileServer(script) as server:
        provider = provider_at(server)
        with pytest.raises(ProviderUnavailable):
            client.identify(provider, make_attempt(provider), token_set(server.url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("endpoint", ["discovery", "jwks", "token", "refresh", "userinfo", "revoke"])
def test_a_redirect_at_any_endpoint_takes_nothing_to_its_target(
    client: HttpProviderClient, endpoint: str, status: int
) -> None:
    with listener() as target, HostileServer(answers(http(status=status, location=target.url))) as server:
        provider = provider_at(server)
        attempt, secret = make_attempt(provider), Secret("the-secret")
        found = replace(provider, endpoints=Endpoints(), discovery_url=server.url + WELL_KNOWN)
        plain = replace(provider, kind=ProviderKind.OAUTH2)
        calls: dict[str, Callable[[], object]] = {
            "discovery": lambda: client.authorization_url(found, attempt),
            "jwks": lambda: client.identify(provider, attempt, token_set(server.url)),
            "token": lambda: client.exchange(provider, attempt, secret),
            "refresh": lambda: client.refresh(provider, secret, Asked(), frozenset()),
            "userinfo": lambda: client.identify(plain, attempt, TokenSet(secret)),
            "revoke": lambda: client.revoke(provider, secret),
        }
        try:
            result = calls[endpoint]()
        except (ProviderUnavailable, LinkDenied):
            result = None
        assert not isinstance(result, Granted)
        assert result is not RevocationResult.CONFIRMED
        assert (len(server.requests), target.connections) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (http(), RevocationResult.CONFIRMED),
        (http(status=204), RevocationResult.CONFIRMED),
        (http(as_json({"error": "unsupported_token_type"}), status=400), RevocationResult.UNSUPPORTED),
        (http(as_json({"error": "invalid_client"}), status=401), RevocationResult.FAILED),
        (http(status=503), RevocationResult.FAILED),
        (b"", RevocationResult.FAILED),
    ],
    ids=["200", "204", "unsupported", "invalid client", "503", "closed"],
)
def test_a_revocation_has_its_receipt(client: HttpProviderClient, answer: bytes, result: RevocationResult) -> None:
    with HostileServer(answers(answer)) as server:
        assert client.revoke(provider_at(server), Secret("t")) is result


def test_a_github_grant_is_deleted_where_the_preset_says_so(client: HttpProviderClient) -> None:
    with HostileServer(answers(http(status=204))) as server:
        provider = provider_at(server, revoke_style="github-grant")
        assert client.revoke(provider, Secret("gho_1")) is RevocationResult.CONFIRMED
        (received,) = server.requests
        assert (received.method, received.path, received.body) == ("DELETE", "/revoke", b'{"access_token": "gho_1"}')


def test_a_provider_that_is_not_to_be_asked_is_not_asked_to_revoke(client: HttpProviderClient) -> None:
    with listener() as server:
        provider = provider_at(server, revoke_style="none")
        assert client.revoke(provider, Secret("t")) is RevocationResult.UNSUPPORTED
        assert server.connections == 0


def test_metadata_that_cannot_be_had_fail_a_revocation_and_hide_the_logout(client: HttpProviderClient) -> None:
    with HostileServer(answers(http(status=503))) as server:
        provider = make_provider(endpoints=Endpoints(), discovery_url=server.url + WELL_KNOWN, issuer=server.url)
        assert client.revoke(provider, Secret("t")) is RevocationResult.FAILED
        assert client.end_session_url(provider, None, "/") is None


@pytest.mark.parametrize(("seconds", "sent"), [(5, True), (7, False)])
def test_metadata_that_took_too_long_to_come_leaves_no_time_to_revoke(seconds: float, sent: bool) -> None:
    now = [1000.0]

    def metadata(_: Received) -> bytes:
        now[0] += seconds
        return http(as_json({"issuer": server.url, "revocation_endpoint": f"{server.url}/revoke"}))

    policy = AddressPolicy()
    transport = Transport(policy, timeouts=Timeouts(connect=1, read=1.5, deadline=3))
    discovery = Discovery(transport, policy)
    client = HttpProviderClient(transport, discovery, KeySets(transport, discovery), clock=lambda: now[0])
    with HostileServer(routes({WELL_KNOWN: metadata, "/revoke": http()})) as server:
        found = make_provider(issuer=server.url, endpoints=Endpoints(), discovery_url=server.url + WELL_KNOWN)
        results = [client.revoke(found, Secret("refresh-1")) for _ in range(2)]
        client.close()
    confirmed = RevocationResult.CONFIRMED
    assert results == [confirmed if sent else RevocationResult.FAILED, confirmed]


@pytest.mark.parametrize(("seconds", "sent"), [(5, True), (7, False)])
def test_metadata_that_took_too_long_to_come_leaves_no_time_to_spend_the_token(seconds: float, sent: bool) -> None:
    now = [1000.0]

    def metadata(_: Received) -> bytes:
        now[0] += seconds
        return http(as_json({"issuer": server.url, "token_endpoint": f"{server.url}/token"}))

    token = http(as_json({"access_token": "at", "token_type": "bearer"}))
    policy = AddressPolicy()
    transport = Transport(policy, timeouts=Timeouts(connect=1, read=1.5, deadline=3))
    discovery = Discovery(transport, policy)
    client = HttpProviderClient(transport, discovery, KeySets(transport, discovery), clock=lambda: now[0])
    with HostileServer(routes({WELL_KNOWN: metadata, "/token": token})) as server:
        found = make_provider(issuer=server.url, endpoints=Endpoints(), discovery_url=server.url + WELL_KNOWN)
        outcomes = [client.refresh(found, Secret("refresh-1"), Asked(), frozenset()) for _ in range(2)]
        client.close()
    assert isinstance(outcomes[1], Granted)
    assert outcomes[0] == (outcomes[1] if sent else Unavailable("metadata-late"))


def test_logs_hold_no_secret_and_no_text_of_the_provider(
    client: HttpProviderClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tokenstore")
    body = {"error": "SNEAKY-TEXT", "error_description": "SNEAKY-TEXT", "access_token": "SNEAKY-TEXT"}
    with HostileServer(answers(http(as_json(body), status=400))) as server:
        provider = replace(provider_at(server), id=ProviderId("idp"))
        client.refresh(provider, Secret("REFRESH-SECRET"), Asked(), frozenset())
        client.revoke(provider, Secret("REFRESH-SECRET"))
    assert "idp" in caplog.text
    assert "SNEAKY" not in caplog.text
    assert "REFRESH-SECRET" not in caplog.text
