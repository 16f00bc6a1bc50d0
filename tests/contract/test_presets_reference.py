"""The reference page of the presets is made from them and their stand-ins."""

from __future__ import annotations

from pathlib import Path

from demo.standins.page import page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "presets.md"


def test_documentation_page_is_the_presets() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m demo.standins.page > docs/reference/presets.md"
