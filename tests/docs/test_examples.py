"""The commands and the program shown in the pages do what the pages say, against a running store."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from support.documents import DOCS, PROJECT, blocks, run_in_shell, section, text_of
from support.store import Store, StorePerson

README = PROJECT / "README.md"
TUTORIAL = DOCS / "tutorial" / "first-link.md"
PROGRAM = DOCS / "howto" / "use-from-a-program.md"

Run = Callable[[str], str]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (Debian: apt-get install curl)")


@pytest.fixture
def run(store: Store, person: StorePerson, tmp_path: Path) -> Run:
    """Runs a block as a reader of the demo would."""
    return lambda script: run_in_shell(script, {"STORE": store.url, "TOKEN": person.bearer()}, tmp_path)


def members(text: str) -> set[str]:
    """The names of the members of a JSON object."""
    return set(json.loads(text))


def curl_blocks(text: str) -> list[str]:
    """The shell blocks of a text that call the store."""
    return [block for block in blocks(text, "sh") if "$STORE" in block]


@needs_curl
def test_first_five_minutes_of_the_readme_go_as_written(run: Run, person: StorePerson) -> None:
    minutes = section(README, "The first five minutes")
    look, before, after, unlink = curl_blocks(minutes)
    known, not_linked, token = blocks(minutes, "json")

    whoami, authorizations = run(look).splitlines()
    assert json.loads(whoami)["id"] == person.login.subject
    assert members(whoami) == members(known)
    assert "idp1" in [item["provider"] for item in json.loads(authorizations)]
    assert members(run(before)) == members(not_linked)
    person.link("idp1")
    assert members(run(after)) == members(token)
    answer = run(unlink)
    assert answer.startswith("HTTP/1.1 200")
    assert "X-Upstream-Revocation: confirmed" in answer


@needs_curl
def test_commands_of_the_tutorial_go_as_written(run: Run, person: StorePerson) -> None:
    listing, first, forced, elsewhere, unlink = curl_blocks(text_of(TUTORIAL))
    person.link("idp1")

    [idp1] = [item for item in json.loads(run(listing)) if item["provider"] == "idp1"]
    assert (idp1["active"], len(idp1["links"])) == (True, 1)
    linked, refreshed, again = json.loads(run(first)), json.loads(run(forced)), json.loads(run(forced))
    assert [linked["cached"], refreshed["cached"], again["cached"]] == [True, False, True]
    assert refreshed["access_token"] not in (linked["access_token"], None)
    answer = run(elsewhere)
    assert answer.startswith("HTTP/1.1 404")
    assert "authorize_url" in answer
    assert "X-Upstream-Revocation: confirmed" in run(unlink)


@needs_curl
def test_commands_of_the_guide_for_programs_go_as_written(run: Run, person: StorePerson) -> None:
    ask, begin, unlink = curl_blocks(text_of(PROGRAM))
    person.link("idp1")

    assert "access_token" in json.loads(run(ask))
    assert members(run(begin)) == {"authorize_url", "expires_at"}
    assert '"Token revoked"' in run(unlink)


@pytest.fixture
def program() -> dict[str, Any]:
    """The names that the guide's Python program defines."""
    [source] = blocks(text_of(PROGRAM), "python")
    names: dict[str, Any] = {}
    exec(compile(source, str(PROGRAM), "exec"), names)  # noqa: S102  (a page of ours)
    return names


def test_program_of_the_guide_gets_a_token(program: dict[str, Any], store: Store, person: StorePerson) -> None:
    person.link("idp1")

    token = program["access_token"](store.url, person.bearer(), "idp1")

    assert token == person.token("idp1").json()["access_token"]


def test_program_of_the_guide_sends_the_person_to_link(
    program: dict[str, Any], store: Store, person: StorePerson
) -> None:
    with pytest.raises(program["AskPerson"]) as asked:
        program["access_token"](store.url, person.bearer(), "idp1")

    assert str(asked.value) == f"{store.url}/link/idp1"


@contextmanager
def answering(status: int, problem: dict[str, str], **headers: str) -> Iterator[str]:
    """The address of a store that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(json.dumps(problem).encode())

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_program_of_the_guide_sends_the_person_to_allow_more(program: dict[str, Any]) -> None:
    problem = {"type": "/api/errors/scope-not-granted", "detail": "More.", "authorize_url": "https://store/link/idp1"}
    with answering(403, problem) as url, pytest.raises(program["AskPerson"], match="https://store/link/idp1"):
        program["access_token"](url, "token", "idp1")


def test_program_of_the_guide_waits_no_longer_than_it_has_patience(program: dict[str, Any]) -> None:
    problem = {"type": "/api/errors/provider-unavailable", "detail": "Not now."}
    with answering(503, problem, Retry_After="900") as url, pytest.raises(TimeoutError, match=r"Not now. \(in 900 s\)"):
        program["access_token"](url, "token", "idp1")


def pasted(lines: Iterable[str]) -> dict[str, str]:
    """The variables that the demo prints for curl, read up to its last line."""
    found: dict[str, str] = {}
    for line in lines:
        found |= dict(re.findall(r"^\s*(STORE|TOKEN)=(\S+)$", line))
        if "Ctrl-C" in line:
            break
    return found


@needs_curl
@pytest.mark.timeout(120)
def test_demo_prints_the_two_lines_that_the_readme_pastes(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    look = curl_blocks(section(README, "The first five minutes"))[0]
    command = [sys.executable, "-m", "demo"]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            variables = pasted(demo.stdout)
            assert set(variables) == {"STORE", "TOKEN"}
            whoami, _ = run_in_shell(look, variables, tmp_path).splitlines()
        finally:
            demo.terminate()

    shown = json.loads(blocks(section(README, "The first five minutes"), "json")[0])
    assert {name: json.loads(whoami)[name] for name in ("name", "email", "email_verified", "scopes")} == {
        name: shown[name] for name in ("name", "email", "email_verified", "scopes")
    }
    assert json.loads(whoami)["claims"]["azp"] == shown["claims"]["azp"]
