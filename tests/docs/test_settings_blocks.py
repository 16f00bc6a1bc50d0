"""Every block of settings in the pages is one that the store accepts, without a problem and without a warning."""

from __future__ import annotations

import re
import secrets
import shlex
import sys
from pathlib import Path

import pytest

from support.documents import DOCS, PAGES, PROJECT, blocks, name_of, run_in_shell, text_of
from tokenstore.config import examine
from tokenstore.config.names import LOGIN_PROVIDER_ROWS, PROVIDER_ROWS, STORE_ROWS

BLOCKS = [
    pytest.param(block, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(text_of(page), "ini"), start=1)
]
MINIMUM = blocks(text_of(PROJECT / "README.md"), "ini")[0]
# Names of the same shape that are no rows of the table.
_OTHER_NAMES = {"PROMETHEUS_MULTIPROC_DIR", "WEB_CONCURRENCY", "TOKENSTORE_SETTINGS", "SQLALCHEMY_TRACK_MODIFICATIONS"}


# How the secret begins that is an address.
_ADDRESSES = {"DATABASE": "sqlite:///", "REDIS": "redis://"}


def variables(block: str, folder: Path) -> dict[str, str]:
    """The environment that a block describes; files of secrets lie in `folder` and are made."""
    # As a shell reads it, to which a value with spaces is several words.
    words = [word for line in block.splitlines() for word in shlex.split(line)]
    found = dict(word.split("=", 1) for word in words)
    for name, value in found.items():
        if name.endswith("_FILE"):
            file = folder / Path(value).name
            start = next((text for word, text in _ADDRESSES.items() if word in name), "")
            file.write_text(start + secrets.token_hex(32) + "\n")
            found[name] = str(file)
    return found


@pytest.mark.parametrize("block", BLOCKS)
def test_settings_that_a_page_shows_are_accepted(block: str, tmp_path: Path) -> None:
    base = {} if "PUBLIC_URL" in block else variables(MINIMUM, tmp_path)

    seen = examine(None, {**base, **variables(block, tmp_path)})

    assert (seen.problems, seen.warnings) == ((), ())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_a_page_names_is_in_the_table(page: Path) -> None:
    table = {row.name for row in (*STORE_ROWS, *PROVIDER_ROWS)} | {f"OIDC_{row.name}" for row in LOGIN_PROVIDER_ROWS}
    named = set(re.findall(r"`(?:<ID>_|TOKENSTORE_)?([A-Z]+_[A-Z_]*[A-Z])(?:=\w+)?`", text_of(page)))

    assert named - _OTHER_NAMES - {f"{name}_FILE" for name in table} <= table


def test_serving_command_of_the_deployment_guide_starts_the_store(tmp_path: Path) -> None:
    page = text_of(DOCS / "howto" / "deploy.md")
    gunicorn = "/opt/tokenstore/bin/gunicorn "
    [command] = [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith(gunicorn)]
    environment = variables(blocks(page, "ini")[0], tmp_path)
    script = command.replace(gunicorn, f"{sys.executable} -m gunicorn --check-config ", 1)
    script = script.replace("/etc/tokenstore/gunicorn.conf.py", str(PROJECT / "deploy" / "gunicorn.conf.py"))

    file = tmp_path / "environment"
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items()))

    run_in_shell(f"set -a; . {file}; set +a\n{script}", {}, tmp_path)
