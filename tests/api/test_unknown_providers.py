"""Ids that are no provider, some of which other stores resolve to something of their own."""

from __future__ import annotations

import pytest

from support.store import API, Store, StorePerson

IDS = [
    *("oidc", "register", "_clients", "create_client", "__class__", "nope", "IDP1", "idp1.", "links", "authorizations"),
    *("%6fidc", "idp1%20", "idp1%00", "%2e%2e", "idp1%2f..%2fidp1", "..%2Fx", "../x", "idp1/..", "%C3%A9"),
]
ROUTES = [
    *(("GET", "token"), ("HEAD", "token"), ("POST", "token"), ("GET", "authorize"), ("POST", "authorize")),
    *(("POST", "revoke"), ("GET", "redirect_uri")),
]


@pytest.mark.parametrize(("method", "action"), ROUTES)
@pytest.mark.parametrize("provider_id", IDS)
def test_an_unknown_provider_is_not_found(person: StorePerson, provider_id: str, method: str, action: str) -> None:
    answer = person.call(method, f"{API}/{provider_id}/{action}")

    # HEAD has no body to tell a slug in.
    assert answer.status == 404
    assert method == "HEAD" or answer.slug in {"unknown-provider", "not-found"}


@pytest.mark.parametrize(("method", "action"), [route for route in ROUTES if route[1] != "redirect_uri"])
@pytest.mark.parametrize("provider_id", ["oidc", "register", "_clients", "nope"])
def test_the_anonymous_are_not_told_which_providers_there_are(
    store: Store, provider_id: str, method: str, action: str
) -> None:
    known, unknown = (store.call(method, f"{API}/{one}/{action}") for one in ("idp1", provider_id))

    assert (known.status, unknown.status) == (401, 401)


def test_an_action_that_does_not_exist_is_not_found(person: StorePerson) -> None:
    assert person.call("GET", f"{API}/idp1/refresh_token").slug == "not-found"


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", f"{API}/idp1/token"), ("GET", f"{API}/idp1/revoke"), ("POST", f"{API}/authorizations")]
)
def test_a_method_that_does_not_exist_is_told_with_those_that_do(person: StorePerson, method: str, path: str) -> None:
    answer = person.call(method, path)

    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    assert answer.headers["Allow"]
