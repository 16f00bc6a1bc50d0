"""The grammar of return addresses and of configured origins, rule by rule."""

from __future__ import annotations

import pytest

from tokenstore.core.redirects import Choice, ReturnUrlPolicy, origin_problem, with_result

POLICY = ReturnUrlPolicy(
    own_origin="https://store.example",
    allowed_origins=("https://ui.example", "https://lab.example:8443", "http://127.0.0.1:8888"),
    reserved_prefixes=("/links", "/healthz", "/static"),
)
BENEATH = ReturnUrlPolicy(
    own_origin="https://site.example", own_path="/tokens/store", reserved_prefixes=("/links", "/healthz")
)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/link/github",
        "/notebook",
        "/notebook/",
        "/a/b;v=1/c:d@e,f",
        "/caf%C3%A9/a%20b",
        "/linksandmore",
        "/apiary",
        "/x?next=//else.example&a[]=1%0a#//top",
        "/...",
        "https://store.example",
        "https://store.example/",
        "https://store.example/link/github?x=1",
        "https://ui.example",
        "https://ui.example/",
        "https://ui.example/links/1?state=a#b",
        "https://lab.example:8443/hub/home",
        "http://127.0.0.1:8888/tree",
    ],
)
def test_a_page_on_an_origin_of_ours_is_allowed(url: str) -> None:
    assert POLICY.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "?a=1",
        "#a",
        "/a b",
        "/a\\b",
        "/a\n",
        "/é",
        "/\x7f",
        "/%",
        "/%4",
        "/%zz",
        "/?%zz",
        "/#%",
        "/a//b",
        "//",
        "/./a",
        "/a/..",
        "/a/../b",
        "/a|b",
        '/a"b',
        "/a[b]",
        "https://ui.example?x",
        "https://ui.example#x",
        "https://ui.example:443/",
        "https://ui.example:8443/",
        "https://UI.example/",
        "HTTPS://ui.example/",
        "http://ui.example/",
        "https://ui.example.",
        "https://ui.example//a",
        "https://ui.example/../a",
        "https://lab.example/",
        "https://store.example.evil.example/",
    ],
)
def test_anything_outside_the_grammar_is_refused(url: str) -> None:
    assert not POLICY.allows(url)


@pytest.mark.parametrize("code", range(256))
def test_a_percent_encoding_that_gives_a_path_a_second_spelling_is_refused(code: int) -> None:
    aliased = code < 0x20 or code == 0x7F or chr(code) in "/\\%" or (chr(code).isalnum() and code < 0x80)
    aliased = aliased or chr(code) in "-._~"
    for spelling in (f"%{code:02x}", f"%{code:02X}"):
        assert POLICY.allows(f"/a{spelling}b") is not aliased
        assert POLICY.allows(f"/a?b={spelling}#{spelling}")


@pytest.mark.parametrize("origin", ["", "https://store.example"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/", "/api/v1.0/x/token", "/API/oidc/logout", "/oidc", "/Oidc/login", "/api?x", "/api#x"),
        *("/links", "/LINKS/1/delete", "/healthz", "/static/style.css"),
    ],
)
def test_an_action_of_ours_is_refused(origin: str, path: str) -> None:
    assert not POLICY.allows(origin + path)


def test_the_best_known_actions_are_refused_on_allowed_origins_too() -> None:
    assert not POLICY.allows("https://ui.example/api/oidc/logout")
    assert not POLICY.allows("https://ui.example/OIDC")


@pytest.mark.parametrize(
    "path", ["/tokens/store/api/oidc/logout", "/Tokens/Store/API", "/tokens/store/links/1", "/api/x"]
)
def test_beneath_a_path_the_actions_there_are_refused(path: str) -> None:
    assert not BENEATH.allows(path)
    assert not BENEATH.allows("https://site.example" + path)


@pytest.mark.parametrize(
    "path", ["/", "/links/1", "/healthz", "/tokens/store", "/tokens/store/", "/tokens/store/link/x"]
)
def test_beneath_a_path_the_neighbours_and_our_pages_are_allowed(path: str) -> None:
    assert BENEATH.allows(path)


def test_length_is_limited_to_2048_characters() -> None:
    assert POLICY.allows("/" + "a" * 2047)
    assert not POLICY.allows("/" + "a" * 2048)


def test_an_allowed_address_is_returned_as_given() -> None:
    url = "https://ui.example/a%20b?x=%7e"
    assert POLICY.choose(url) == Choice(url, refused=False)


def test_a_refused_address_becomes_the_landing_page() -> None:
    assert POLICY.choose("https://evil.example") == Choice("/", refused=True)
    assert BENEATH.choose("//evil.example") == Choice("/tokens/store/", refused=True)


def test_the_referer_counts_only_when_no_address_was_given() -> None:
    assert POLICY.choose(None, "https://ui.example/a") == Choice("https://ui.example/a", refused=False)
    assert POLICY.choose("/b", "https://ui.example/a") == Choice("/b", refused=False)
    assert POLICY.choose("", "https://ui.example/a") == Choice("/", refused=True)
    assert POLICY.choose(None, "https://evil.example/") == Choice("/", refused=True)


def test_nothing_offered_is_nothing_refused() -> None:
    assert POLICY.choose(None) == Choice("/", refused=False)


@pytest.mark.parametrize(
    "origin",
    [
        "https://ui.example",
        "https://ui.example:8443",
        "https://ui.example:80",
        "https://intranet",
        "https://xn--bcher-kva.example",
        "https://10.1.2.3",
        "https://[2001:db8::1]:8443",
        "http://localhost",
        "http://localhost:5000",
        "http://127.0.0.1:5000",
        "http://127.1.2.3",
        "http://[::1]:5000",
        "http://localhost:443",
    ],
)
def test_an_origin_in_its_usual_spelling_has_no_problem(origin: str) -> None:
    assert origin_problem(origin) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not an origin"),
        ("*", "is not an origin"),
        ("null", "is not an origin"),
        ("ui.example", "is not an origin"),
        ("https://*.example", "is not an origin"),
        ("https://ui.example/", "is not an origin"),
        ("https://ui.example/a", "is not an origin"),
        ("https://ui.example?", "is not an origin"),
        ("https://ui.example\n", "is not an origin"),
        ("https://user@ui.example", "is not an origin"),
        ("https://UI.example", "is not an origin"),
        ("HTTPS://ui.example", "is not an origin"),
        ("ftp://ui.example", "is not an origin"),
        ("https://ui_x.example", "is not an origin"),
        ("https://bücher.example", "is not an origin"),
        ("https://ui.example:", "is not an origin"),
        ("https://ui.example:08443", "is not an origin"),
        ("https://ui.example:99999", "has a port above"),
        ("https://ui.example:443", "names the default port"),
        ("http://localhost:80", "names the default port"),
        ("https://ui.example.", "has a host that is neither"),
        ("https://.example", "has a host that is neither"),
        ("https://ui..example", "has a host that is neither"),
        ("https://-ui.example", "has a host that is neither"),
        ("https://" + "a" * 64 + ".example", "has a host that is neither"),
        ("https://2130706433", "has a host that is neither"),
        ("https://0x7f.1", "has a host that is neither"),
        ("https://ui.0x7f", "has a host that is neither"),
        ("https://0177.0.0.1", "has a host that is neither"),
        ("https://[::0001]", "has a host that is neither"),
        ("https://[2001:db8:0:0:0:0:0:1]", "has a host that is neither"),
        ("http://ui.example", "is plain http"),
        ("http://10.1.2.3", "is plain http"),
        ("http://localhost.evil.example", "is plain http"),
    ],
)
def test_a_text_that_is_no_origin_is_told_why(text: str, problem: str) -> None:
    told = origin_problem(text)
    assert told is not None
    assert told.startswith(problem)


@pytest.mark.parametrize("origin", ["", "https://ui.example/", "*", "http://ui.example"])
def test_a_policy_cannot_be_made_with_an_origin_that_is_none(origin: str) -> None:
    with pytest.raises(ValueError, match=r"origin|plain http"):
        ReturnUrlPolicy(own_origin="https://store.example", allowed_origins=(origin,))
    with pytest.raises(ValueError, match=r"origin|plain http"):
        ReturnUrlPolicy(own_origin=origin)


@pytest.mark.parametrize("path", ["/", "store", "/store/", "//evil.example", "/a/../b", "/a?b"])
def test_a_policy_cannot_be_made_with_a_path_that_is_not_plain(path: str) -> None:
    with pytest.raises(ValueError, match="plain path"):
        ReturnUrlPolicy(own_origin="https://store.example", own_path=path)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("/", "/?result=ok"),
        ("https://ui.example", "https://ui.example?result=ok"),
        ("/a?b=c", "/a?b=c&result=ok"),
        ("/a#part?not=query", "/a?result=ok#part?not=query"),
    ],
)
def test_a_result_stands_at_the_end_of_the_query(url: str, told: str) -> None:
    assert with_result(url, {"result": "ok"}) == told
