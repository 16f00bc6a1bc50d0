"""User agents in a few words."""

from __future__ import annotations

import pytest

from tokenstore.identity.agents import agent_label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120 Safari/537.36 Edg/120.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.0", None),
        ("<script>", None),
        ("", None),
        (None, None),
    ],
)
def test_browser_and_system_are_told_and_nothing_else(text: str | None, label: str | None) -> None:
    assert agent_label(text) == label
