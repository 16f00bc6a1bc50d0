"""A spool in a folder of the test's own, not made yet."""

from pathlib import Path

import pytest

from support.spooled import VAULT
from tokenstore.store.spool import FileSpool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> FileSpool:
    return FileSpool(folder, VAULT)
