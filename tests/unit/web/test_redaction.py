"""What is masked in a log line, and what survives."""

from __future__ import annotations

import pytest

from tokenstore.web.redaction import MASK, redact_event, redact_text

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
LONG = "k3Jx9Qw7Zr5Tn1Vb8Lm4Pc6Hs2Fd0Gy-aEuI_oXzWqR"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {JWT} seen", JWT),
        ("Authorization: Bearer opaque-token", "opaque-token"),
        ("bearer opaque-token", "opaque-token"),
        ("headers {'Authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("Cookie: tokenstore=abc; other=def", "def"),
        ("GET /api/v1.0/a/redirect_uri?code=c0de&state=st4te HTTP/1.1", "c0de"),
        ("GET /api/v1.0/a/redirect_uri?code=c0de&state=st4te HTTP/1.1", "st4te"),
        ("grant_type=refresh_token&refresh_token=r-1&scope=openid", "r-1"),
        ('{"access_token": "a-1", "scope": "openid"}', "a-1"),
        ('{"client_secret":"with \\" quote"}', "quote"),
        ("{'id_token': 'i-1'}", "i-1"),
        ("code_verifier=v-1", "v-1"),
        ("client_assertion=ca-1", "ca-1"),
        ("key gho_16C7e42F292c6912E7 used", "gho_16C7e42F292c6912E7"),
        (f"value {LONG} seen", LONG),
    ],
)
def test_secret_is_masked(text: str, secret: str) -> None:
    assert secret not in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "refresh of link 6c1f5c1e-7a54-4a1c-9d0b-5b8a4d3f2e1a at idp1 took 0.3 s",
        "scope=openid email&grant_type=refresh_token",
        "in test_refresh_keeps_old_refresh_token_when_none_is_returned",
        'File "/opt/store/lib/python3.11/site-packages/flask/app.py", line 1511, in wsgi_app',
        "exit code 3, state active",
    ],
)
def test_ordinary_text_survives(text: str) -> None:
    assert redact_text(text) == text


def test_text_around_a_secret_survives() -> None:
    assert redact_text("a=1&code=c0de&b=2") == f"a=1&code={MASK}&b=2"


def test_values_under_secret_names_are_masked_at_any_depth() -> None:
    event = redact_event({"answer": {"access_token": "a-1", "list": [{"Cookie": "x"}]}})
    assert event == {"answer": {"access_token": MASK, "list": [{"Cookie": MASK}]}}


def test_secrets_inside_values_are_masked() -> None:
    assert redact_event({"event": f"got {JWT}"}) == {"event": f"got {MASK}"}


def test_values_that_are_no_text_keep_their_type() -> None:
    assert redact_event({"status": 200, "ratio": 0.5, "cached": True, "client": None}) == {
        "status": 200,
        "ratio": 0.5,
        "cached": True,
        "client": None,
    }


def test_request_id_is_never_masked() -> None:
    assert redact_event({"request_id": LONG}) == {"request_id": LONG}
