"""The reference page of the settings is the table of settings."""

from __future__ import annotations

from pathlib import Path

from tokenstore.config import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_documentation_page_is_the_table() -> None:
    assert PAGE.read_text() == reference(), (
        "write it anew: flask tokenstore config reference > docs/reference/settings.md"
    )
