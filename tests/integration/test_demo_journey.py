"""`python -m demo`: the journey succeeds, a failure is told, and nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.browser import Browser
from demo.client import call
from demo.config import Account
from demo.person import Person
from support.waiting import eventually

PROJECT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "demo"]


def start(home: Path) -> subprocess.Popen[str]:
    """A demo for people, in a session of its own as a terminal gives it, its files below `home`."""
    env = {**os.environ, "TMPDIR": str(home)}
    return subprocess.Popen(DEMO, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)


def announced(demo: subprocess.Popen[str]) -> dict[str, str]:
    """What the demo says first: where to go, as whom."""
    assert demo.stdout is not None
    found: dict[str, str] = {}
    while len(found) < 3:
        line = demo.stdout.readline()
        assert line, "the demo ended without saying where to go"
        match = re.match(r"  (Open|Log in|Password) +(\S+)", line)
        if match:
            found[match[1]] = match[2]
    return found


def answers(url: str) -> bool:
    try:
        return call(url, "GET", "/readyz", timeout=2).status == 200
    except OSError:
        return False


@pytest.mark.timeout(120)
def test_the_whole_journey_succeeds_in_half_a_minute() -> None:
    done = subprocess.run([*DEMO, "--once"], cwd=PROJECT, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines] == ["✓"] * len(lines)
    assert len(lines) >= 10
    assert sum(float(line.split()[-2]) for line in lines) < 30


@pytest.mark.timeout(120)
def test_the_demo_says_where_to_go_and_as_whom_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        try:
            told = announced(demo)
            person = Person(Account(told["Log in"], "", "", "", password=told["Password"]), Browser())
            page = person.answer(person.browser.get(f"{told['Open']}api/oidc/login"))
            assert (page.status, page.url) == (200, told["Open"])
        finally:
            os.kill(demo.pid, signal.SIGINT)
        assert demo.wait(50) == 0
    assert not answers(told["Open"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
def test_nothing_outlives_a_demo_that_was_killed(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        told = announced(demo)
        assert answers(told["Open"])
        demo.kill()

    eventually(lambda: not answers(told["Open"]), "the end of the store", seconds=40)
