"""The guide for those who come from the reference goes as written, on a database that the reference made."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from support.documents import DOCS, blocks, run_in_shell, text_of
from support.reference import REFERENCE_KEY, Reference, fernet
from tokenstore.core.importing import Fate
from tokenstore.store.tables import link

PAGE = DOCS / "howto" / "upgrade-from-the-reference.md"
_EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)
SETTINGS = """
SQLALCHEMY_DATABASE_URI = "{url}"
SESSION_TYPE = "filesystem"
SESSION_FILE_DIR = "/tmp/sessions"
SESSION_FILE_MODE = 0o600
CACHE_TYPE = "SimpleCache"
OIDC_DISCOVERY_URL = "https://auth.example.com/auth/realms/example/.well-known/openid-configuration"
OIDC_CLIENT_ID = "tokenstore"
OIDC_CLIENT_SECRET = "tokenstore_client_secret"
CRYPTOKEY = "{key}"
TOKEN_PROVIDERS = "idp1, idp2"
IDP1_DISCOVERY_URL = "https://auth-idp1.example.com/auth/realms/example/.well-known/openid-configuration"
IDP1_CLIENT_ID = "idp1"
IDP1_CLIENT_SECRET = "idp1_client_secret"
IDP2_DISCOVERY_URL = "https://auth-idp2.example.com/auth/realms/example/.well-known/openid-configuration"
IDP2_CLIENT_ID = "idp2"
IDP2_CLIENT_SECRET = "idp2_client_secret"
"""


@pytest.fixture
def run(reference: Reference, tmp_path: Path) -> Callable[[str], str]:
    """Runs a block as the operator of that reference would; what it exports stays for the next one."""
    # The reference's settings name no driver.
    url = reference.url.replace("postgresql+psycopg", "postgresql")
    (tmp_path / "production.cfg").write_text(SETTINGS.format(url=url, key=REFERENCE_KEY))
    (tmp_path / "secret_key").write_text(secrets.token_hex(32))
    variables: dict[str, str] = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(script: str) -> str:
        for name, value in _EXPORT.findall(script):
            variables[name] = url if "DATABASE" in name else value.replace("/etc/tokenstore", str(tmp_path))
        return run_in_shell(_EXPORT.sub("", script), variables, tmp_path)

    return run


@pytest.mark.timeout(180)
def test_upgrade_goes_as_the_guide_says(run: Callable[[str], str], reference: Reference) -> None:
    add, check, tables, rehearse, change_over = blocks(text_of(PAGE), "sh")
    for user in ("ann", "bob"):
        reference.add(user)
    reference.add("ann", "idp2")
    reference.add("bob", "idp1", fernet("older", at=1_700_000_000))

    run(add)
    assert "\n0 problems, " in run(check)
    run(tables)
    assert run(rehearse).splitlines()[-1] == "dry run, nothing stored: 4 rows: 3 imported, 1 older-duplicate"
    assert run(change_over).splitlines()[-1] == "4 rows: 3 imported, 1 older-duplicate"
    assert run(change_over).splitlines()[-1] == "4 rows: 0 imported, 3 already-imported, 1 older-duplicate"

    with reference.engine.connect() as connection:
        found = connection.execute(select(link.c.subject, link.c.provider_id, link.c.issuer, link.c.state)).all()
    realms = {idp: f"https://auth-{idp}.example.com/auth/realms/example" for idp in ("idp1", "idp2")}
    assert sorted(map(tuple, found)) == [
        ("ann", "idp1", realms["idp1"], "active"),
        ("ann", "idp2", realms["idp2"], "active"),
        ("bob", "idp1", realms["idp1"], "active"),
    ]
    assert {"refresh_token", "alembic_version"} <= set(inspect(reference.engine).get_table_names())


def test_guide_explains_exactly_the_reasons_there_are() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", text_of(PAGE), re.MULTILINE) == [fate.value for fate in Fate]
