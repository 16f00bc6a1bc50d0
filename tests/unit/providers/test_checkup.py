"""What `providers check` says of a provider that was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.issuing import EC, ISSUER, make_provider, public_keys
from tokenstore.core.model import LOGIN_PROVIDER, Endpoints, Provider, ProviderKind
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.checkup import judge
from tokenstore.providers.discovery import advertised_endpoints, merged, metadata_faults, read_metadata
from tokenstore.providers.findings import Verdict
from tokenstore.providers.looking import Fetched, Look

POLICY = AddressPolicy()
WELL_KNOWN = ISSUER + "/.well-known/openid-configuration"
PROVIDER = make_provider(endpoints=Endpoints(), discovery_url=WELL_KNOWN)
LOGIN = make_provider(
    id=LOGIN_PROVIDER, endpoints=Endpoints(), discovery_url=WELL_KNOWN, scopes=("openid",), refreshes=True
)
NO_OFFLINE = make_provider(endpoints=Endpoints(), discovery_url=WELL_KNOWN, scopes=("openid", "email"))
PLAIN = make_provider(
    kind=ProviderKind.OAUTH2,
    issuer=None,
    scopes=(),
    endpoints=Endpoints(authorize="https://forge.example/auth", token="https://forge.example/token"),
)
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "introspection_endpoint": f"{ISSUER}/introspect",
    "scopes_supported": ["openid", "email", "offline_access"],
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "id_token_signing_alg_values_supported": ["ES256"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}
SECOND = timedelta(seconds=1)


def document(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (DOCUMENT | changes).items() if value is not None}


def fetched(url: str, found: dict[str, Any] | None = None, fault: str = "", ahead: timedelta | None = None) -> Fetched:
    return Fetched(url, found, fault, answered=not fault, ahead=ahead)


def seen(provider: Provider = PROVIDER, found: dict[str, Any] | None = None, **changes: Any) -> Look:
    """What a look at a provider with this metadata brings, the rest of it being in order."""
    found = document() if found is None else found
    endpoints, accepted = provider.endpoints, not metadata_faults(provider, found, POLICY)
    if accepted:
        endpoints = merged(endpoints, advertised_endpoints(provider, found))
    parts: dict[str, Any] = {
        "metadata": fetched(WELL_KNOWN, found),
        "keys": fetched(f"{ISSUER}/jwks", public_keys(EC)),
        "token": fetched(f"{ISSUER}/token"),
        **changes,
    }
    return Look(endpoints, accepted, **parts)


def bad(look: Look, provider: Provider = PROVIDER, *, introspects: bool = False) -> Sequence[str]:
    """The findings that are no OK."""
    found = judge(provider, look, POLICY, introspects=introspects)
    return [str(finding) for finding in found if finding.verdict is not Verdict.OK]


def test_a_provider_in_order_has_no_problem_and_names_the_redirect_uri() -> None:
    findings = judge(PROVIDER, seen(), POLICY)
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert str(findings[-1]) == f"ok: the redirect URI to register there is {PROVIDER.redirect_uri}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": ISSUER + "/"}, "problem: the metadata's issuer is"),
        ({"issuer": None}, "problem: the metadata's issuer is missing"),
        ({"token_endpoint": "https://api.example/token"}, "add it to IDP_ALLOWED_HOSTS"),
        ({"token_endpoint": "http://idp.example/token"}, "problem: token_endpoint is refused"),
        ({"token_endpoint": None}, "problem: no address for TOKEN_URL can be used; write IDP_TOKEN_URL"),
        ({"authorization_endpoint": None}, "problem: no address for AUTHORIZE_URL"),
        ({"jwks_uri": None}, "problem: no address for JWKS_URL"),
        ({"code_challenge_methods_supported": None}, "warning: the provider does not say whether it takes PKCE"),
        ({"code_challenge_methods_supported": ["plain"]}, "problem: the provider takes PKCE with plain"),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, "IDP_TOKEN_AUTH_METHOD to client_secret_p"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "let the provider take client_secret_basic"),
        ({"grant_types_supported": ["authorization_code"]}, "warning: the provider does not list the grant refresh"),
        ({"grant_types_supported": ["implicit"]}, "problem: the provider has the grants implicit"),
        ({"response_types_supported": ["id_token"]}, "problem: the provider answers authorization requests with id_to"),
        ({"id_token_signing_alg_values_supported": ["HS256"]}, "problem: the provider signs ID tokens with HS256"),
        ({"scopes_supported": ["openid", "email"]}, "warning: the provider does not list offline_access"),
        ({"revocation_endpoint": None}, "warning: no revocation endpoint is known"),
    ],
    ids=str,
)
def test_each_fault_of_metadata_is_one_finding_with_its_mend(changes: dict[str, Any], said: str) -> None:
    found = bad(seen(found=document(**changes)))
    assert len(found) == 1, found
    assert said in found[0]
    assert "; " in found[0]


@pytest.mark.parametrize(
    ("provider", "changes", "said"),
    [
        (NO_OFFLINE, {}, ["warning: offline access is not asked for"]),
        (NO_OFFLINE, {"scopes_supported": None}, ["warning: offline access is not asked for"]),
        (NO_OFFLINE, {"scopes_supported": ["openid", "email"]}, []),
        (make_provider(endpoints=Endpoints(), discovery_url=WELL_KNOWN, pkce=False), {}, ["warning: PKCE is off"]),
        (LOGIN, {"revocation_endpoint": None, "grant_types_supported": ["authorization_code"]}, []),
    ],
    ids=["asked", "unlisted", "not-known-there", "no-pkce", "login"],
)
def test_settings_are_judged_with_the_metadata(provider: Provider, changes: dict[str, Any], said: list[str]) -> None:
    found = bad(seen(provider, document(**changes)), provider)
    assert [finding[: len(text)] for finding, text in zip(found, said, strict=True)] == said


def test_introspection_needs_its_endpoint_at_the_login_provider() -> None:
    assert bad(seen(LOGIN), LOGIN, introspects=True) == []
    found = bad(seen(LOGIN, document(introspection_endpoint=None)), LOGIN, introspects=True)
    assert "no introspection endpoint" in found[0]


def test_plain_oauth_without_discovery_is_judged_by_its_addresses() -> None:
    look = Look(PLAIN.endpoints, True, token=fetched("https://forge.example/token"))
    assert [finding[:35] for finding in bad(look, PLAIN)] == ["warning: no revocation endpoint is "]


@pytest.mark.parametrize("fault", ["address-refused", "dns", "connect", "tls", "timeout", "status 404", "reset"])
@pytest.mark.parametrize("part", ["metadata", "keys", "token"])
def test_what_cannot_be_had_is_a_problem_with_a_mend(part: str, fault: str) -> None:
    lacking: dict[str, Any] = {part: fetched("https://idp.example/x?hush", fault=fault)}
    found = bad(seen(**lacking))
    assert any(one.startswith("problem: ") and " cannot be had at https://idp.example/x: " in one for one in found)
    assert "hush" not in str(found)


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": [{"kty": "oct", "k": "aHVzaA"}]}])
def test_key_set_without_a_usable_key_is_a_problem(keys: dict[str, Any]) -> None:
    found = bad(seen(keys=fetched(f"{ISSUER}/jwks", keys)))
    assert [one[:44] for one in found] == ["problem: its key set holds no key that may v"]


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(30, []), (-30, []), (31, ["warning: its clock is 31 s before"]), (-90, ["warning: its clock is 90 s behind"])],
)
def test_a_clock_that_differs_by_more_than_half_a_minute_is_warned_of(ahead: int, said: list[str]) -> None:
    found = bad(seen(token=fetched(f"{ISSUER}/token", ahead=ahead * SECOND)))
    assert [one[: len(text)] for one, text in zip(found, said, strict=True)] == said


def test_an_old_answer_from_a_cache_does_not_count_as_the_clock() -> None:
    old = fetched(WELL_KNOWN, document(), ahead=-900 * SECOND)
    assert bad(seen(metadata=old, token=fetched(f"{ISSUER}/token", ahead=SECOND))) == []


def test_what_a_stranger_wrote_cannot_steer_the_terminal() -> None:
    found = bad(seen(found=document(issuer="https://evil\x1b[2J" + "x" * 1000)))
    assert "\x1b" not in found[0]
    assert len(found[0]) < 500


MEMBER = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=8) | st.none())
VALUE = MEMBER | st.sampled_from([ISSUER, f"{ISSUER}/x", "https://evil.example/x", "http://idp.example/x"])


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENT)), VALUE))
def test_metadata_that_the_store_would_refuse_is_always_a_problem(changes: dict[str, Any]) -> None:
    found = {**DOCUMENT, **changes}
    problems = [one for one in bad(seen(found=found)) if one.startswith("problem")]
    try:
        read_metadata(PROVIDER, found, POLICY)
    except ValueError:
        assert problems
