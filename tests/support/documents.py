"""The written pages of the project, for tests that hold them to their word: texts, blocks of code, shell runs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
TOP_PAGES = tuple(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"))
PAGES = (*TOP_PAGES, *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts))

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """A page's path as a test's id."""
    return page.relative_to(PROJECT).as_posix()


def text_of(page: Path) -> str:
    """A page as it is written."""
    return page.read_text(encoding="utf-8")


def section(page: Path, heading: str) -> str:
    """What stands below a second-level heading of a page, up to the next one."""
    [found] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    return str(found)


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in a text that are marked with the language, in order."""
    return [code for marked, code in _BLOCK.findall(text) if marked == language]


def run_in_shell(script: str, variables: Mapping[str, str], cwd: Path) -> str:
    """What a script printed, run by bash as a reader would paste it; an error of any line is an error."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout
