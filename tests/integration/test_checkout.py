"""A fresh checkout works as Flask's readers expect: `.flaskenv` and `settings.py` at the top, nothing to export."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo.client import call
from support.waiting import eventually

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a shell in the checkout has, with the instance folder elsewhere so that the test leaves no keys behind."""
    foreign = ("TOKENSTORE_", "FLASK_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**inherited, "TOKENSTORE_INSTANCE_PATH": str(tmp_path / "instance")}


def flask(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_the_settings_of_a_checkout_have_no_problem(environment: dict[str, str]) -> None:
    done = flask(environment, "tokenstore", "config", "check")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 problems" in done.stdout


def test_flask_run_serves_a_checkout_once_its_database_is_made(environment: dict[str, str], tmp_path: Path) -> None:
    made = flask(environment, "db", "upgrade")
    assert made.returncode == 0, made.stderr
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "demo.mortal",
        str(os.getpid()),
        sys.executable,
        "-m",
        "flask",
        "run",
        "--port",
        "0",
    ]
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output)
    try:
        eventually(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()) is not None, "an address", seconds=30)
        address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert address is not None
        assert call(address[0], "GET", "/readyz").json() == {"ready": True}
    finally:
        server.terminate()
        server.wait(10)
