"""`python -m demo.standins.page`: the reference page of the presets, in Markdown.

What a journey ends with is what `tests/integration/test_presets_journey.py` demands of each stand-in.
"""

from __future__ import annotations

import sys

from demo.standins.habits import Habits
from demo.standins.table import STAND_INS
from tokenstore.providers.presets import PRESETS, Page, Preset

_INTRODUCTION = """\
# Presets

Settings that apply below your own where `<ID>_PRESET` names one; [Settings](settings.md) says what each row means, and
[Add a provider](../howto/add-a-provider.md) how to use them.

## What was tried

The journey of each preset runs in the tests over real HTTP: an account is linked, its token handed out, refreshed where
there is something to refresh with, and the account unlinked. It runs against a *stand-in*, a server of our own that has
the wire habits below and insists on what the provider insists on. No test has spoken to the providers themselves.

| preset | link and token | refresh | revocation when unlinked |
|---|---|---|---|
"""

_FACTS = """
## Where the facts come from

The pages were read in stored copies, which may be older than the day of reading. What stands after a page in brackets
is the part that was read, or the form in which it was, if not the page as a whole. Where the pages of a provider are
silent, its own source or SDK stands in for them.

| preset | pages | read | not settled by them |
|---|---|---|---|
"""

_ROWS = """
## What each one sets

Names in braces are filled from `<ID>_VARS`.
"""


def page() -> str:
    """The whole page."""
    by_preset = {habits.preset: habits for habits in STAND_INS}
    names = sorted(PRESETS)
    tried = "".join(_tried(PRESETS[name], by_preset[name]) for name in names)
    facts = "".join(_facts(name, PRESETS[name]) for name in names)
    rows = "".join(_rows(name, PRESETS[name]) for name in names)
    return _INTRODUCTION + tried + _FACTS + facts + _ROWS + rows


def _tried(preset: Preset, habits: Habits) -> str:
    refresh = "no refresh token"
    if preset.rows.get("REFRESH_MODE") == "never":
        refresh = "never, on purpose"
    elif habits.offline_when is not None:
        rotation = {"none": "the same token stays", "keep-old": "a new token, the old one stays"}
        refresh = "works; " + rotation.get(habits.rotation, "a new token, which replaces the old one")
        if habits.refresh_ends_access:
            refresh += "; earlier access tokens end"
    revocation = "not offered" if habits.revocation == "none" else "confirmed"
    return f"| `{habits.preset}` | works | {refresh} | {revocation} |\n"


def _facts(name: str, preset: Preset) -> str:
    pages = "<br>".join(_page(page) for page in preset.pages)
    return f"| `{name}` | {pages} | {preset.read} | {preset.open or 'nothing'} |\n"


def _page(page: Page) -> str:
    return f"[{page.title}]({page.address})" + (f" ({page.part})" if page.part else "")


def _rows(name: str, preset: Preset) -> str:
    lines = [f"\n### {name}\n\n"]
    lines += [f"- `{row}` = `{_shown(value)}`\n" for row, value in preset.rows.items()]
    if preset.vars:
        lines.append(f"- `VARS` = `{dict(preset.vars)}` where you say nothing\n")
    return "".join(lines)


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value).lower() if value is True else str(value)


if __name__ == "__main__":
    sys.stdout.write(page())
