"""The page of the API lists every word of ours that may stand in `last_error`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tokenstore
from support.documents import DOCS, text_of
from tokenstore.core.model import ACCOUNT_CHANGED

SOURCES = Path(tokenstore.__file__).parent
FOLDERS = ("core/refresh", "providers")
MAKERS = {"BadBody", "Failure", "MayHaveBeenSent", "NotSent", "Unavailable", "Unclear", "_back_off", "_keep_rotation"}


def words_of(tree: ast.AST) -> Iterator[str]:
    """The texts given to those who make an outcome, and those that a call's fault is set to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in MAKERS:
                found = [each for argument in node.args for each in ast.walk(argument)]
                yield from (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            target = node.targets[0]
            if isinstance(target, ast.Attribute) and target.attr == "fault":
                yield str(node.value.value)


def test_page_lists_every_word_for_why_a_refresh_failed() -> None:
    trees = [ast.parse(text_of(path)) for folder in FOLDERS for path in (SOURCES / folder).glob("*.py")]
    said = {word for tree in trees for word in words_of(tree) if not word.startswith("status-")}
    table = text_of(DOCS / "reference" / "rest.md").partition("| `last_error` | meaning |")[2].partition("\n\n")[0]
    listed = set(re.findall(r"`([a-z-]+)`", table))

    assert said | {ACCOUNT_CHANGED} <= listed
    assert {"dns", "timeout", "interrupted", "internal", "no-token-answer"} <= said  # or the test looks at nothing
