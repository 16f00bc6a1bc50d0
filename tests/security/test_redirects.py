"""Open redirects (F-RED): what the return-URL grammar accepts, judged by a WHATWG URL parser as browsers have one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from urllib.parse import unquote

import pytest
from ada_url import URL
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenstore.core.redirects import ReturnUrlPolicy, origin_problem

OWN = "https://store.example"
ALLOWED = ("https://ui.example", "https://lab.example:8443", "http://127.0.0.1:8888")
ACTIONS = ("/api", "/oidc", "/links", "/healthz", "/static")
POLICIES = [
    ReturnUrlPolicy(own_origin=OWN, own_path=own_path, allowed_origins=ALLOWED, reserved_prefixes=ACTIONS[2:])
    for own_path in ("", "/tokens")
]
PAYLOADS = [row["payload"] for row in json.loads((Path(__file__).parent / "data/redirect_payloads.json").read_text())]
GOOD = [
    "/",
    "/link/github",
    "/notebook/lab/tree/a%20b.ipynb?reset=1#top",
    "/caf%C3%A9?next=%2Fhome",
    "https://ui.example",
    "https://ui.example/callback?state=abc",
    "https://lab.example:8443/hub/home",
    "http://127.0.0.1:8888/tree?token=1",
]
PIECES = (
    *"/\\:@?#%.;&=[]|~-_ \t\r\n\0",
    *("//", "..", "/.", "/../", "%2e", "%2f", "%5c", "%0d%0a", "%61", "%2561", "%C3%A9", "\uff0e", "\u2028"),
    *("evil.example", "ui.example", "store.example", "@evil.example", "127.0.0.1", "[::1]", ":443", ":8443"),
    *("https:", "http://", "javascript:", "data:", "api", "API", "oidc", "links", "static", "tokens", "healthz"),
)


def assert_harmless(policy: ReturnUrlPolicy, url: str) -> None:
    """What was accepted, read as a browser on our origin reads it, stays with us and triggers nothing."""
    resolved = URL(url, base=OWN + policy.own_path + "/")
    assert resolved.origin in (OWN, *ALLOWED), url
    assert not resolved.username, url
    assert not resolved.password, url
    path = unquote(resolved.pathname).lower()
    assert unquote(path) == path, url
    if resolved.origin == OWN:
        assert not any((path + "/").startswith(policy.own_path + action + "/") for action in ACTIONS), url
    given_path = url.removeprefix(resolved.origin).partition("#")[0].partition("?")[0]
    assert resolved.pathname == (given_path or "/"), url


def mutated(chance: random.Random, text: str) -> str:
    """The text with one to three small changes, most of them of the kinds that fooled other checks."""
    for _ in range(chance.randint(1, 3)):
        at, end = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        piece = chance.choice(PIECES)
        match chance.randrange(5):
            case 0:
                text = text[:at] + piece + text[at:]
            case 1:
                text = text[:at] + piece + text[end:]
            case 2:
                text = text[:at] + text[at + 1 :]
            case 3:
                text = text[:at] + text[at:end].swapcase() + text[end:]
            case _:
                text = text[:at] + "".join(f"%{byte:02x}" for byte in text[at : at + 1].encode()) + text[at + 1 :]
    return text


@pytest.mark.parametrize("policy", POLICIES, ids=["at the root", "beneath a path"])
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_every_known_payload_ends_on_the_landing_page(policy: ReturnUrlPolicy, payload: str) -> None:
    assert policy.choose(payload).url == policy.landing
    assert policy.choose(None, payload).url == policy.landing


@pytest.mark.parametrize("url", GOOD)
def test_good_addresses_are_accepted_and_harmless(url: str) -> None:
    for policy in POLICIES:
        assert policy.choose(url).url == url
        assert_harmless(policy, url)


@pytest.mark.asvs("1.5.3")
@pytest.mark.asvs("3.7.2")
def test_of_fifty_thousand_mutations_none_that_is_accepted_leaves_us_or_acts() -> None:
    chance = random.Random(20)  # noqa: S311  # reproducible, not secret
    accepted = 0
    for _ in range(50_000):
        policy, url = chance.choice(POLICIES), mutated(chance, chance.choice(PAYLOADS + GOOD * 8))
        if policy.allows(url):
            accepted += 1
            assert_harmless(policy, url)
    assert accepted > 2_500


@settings(max_examples=1_000, deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.sampled_from(["", "/", OWN, *ALLOWED]),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join),
)
def test_no_accepted_string_leaves_us_or_acts(policy: ReturnUrlPolicy, start: str, rest: str) -> None:
    if policy.allows(start + rest):
        assert_harmless(policy, start + rest)


@settings(max_examples=500, deadline=None)
@given(
    st.from_regex(r"https?://[a-z0-9.\-:\[\]xA%@]{1,20}", fullmatch=True)
    | st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), st.ip_addresses(), st.sampled_from(["", ":81"]))
)
def test_an_accepted_origin_is_one_that_browsers_spell_the_same(text: str) -> None:
    if origin_problem(text) is None and "xn--" not in text:
        assert URL(text).origin == text
