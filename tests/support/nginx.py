"""A real nginx with TLS on loopback, configured by `deploy/nginx.conf`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.documents import PROJECT

EXAMPLE = PROJECT / "deploy" / "nginx.conf"
START_SECONDS = 20
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(home: Path, port: int, upstream: str, certificate: Path) -> Iterator[Path]:
    """Serves at the port what is at `upstream`, an http origin; yields the file of the access log.

    `certificate`: PEM file of key and certificate.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("no nginx here (Debian: apt-get install nginx)")
    access, errors = home / "access.log", home / "error.log"
    (home / "tokenstore.conf").write_text(
        _example(
            {
                "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
                "/etc/ssl/tokens.example.org.pem": str(certificate),
                "/etc/ssl/tokens.example.org.key": str(certificate),
                "/var/log/nginx/tokenstore.log": str(access),
                "http://127.0.0.1:8000": upstream,
            }
        )
    )
    main = home / "nginx.conf"
    main.write_text(_around(home))
    command = [sys.executable, "-m", "demo.mortal", str(os.getpid()), program, "-c", str(main), "-e", str(errors)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            _wait(port, process, errors)
            yield access
        finally:
            process.terminate()


def free_port() -> int:
    """A port where nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _example(changes: Mapping[str, str]) -> str:
    """The example for other places than it names."""
    text = EXAMPLE.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old} is not in {EXAMPLE}"
        text = text.replace(old, new)
    return text


def _around(home: Path) -> str:
    """What stands around the example in an nginx that keeps everything in one folder."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    folders = "\n".join(f"{name}_temp_path {home}/{name};" for name in _TEMPORARY)
    return (
        f"{user}daemon off;\npid {home}/nginx.pid;\nworker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}\ninclude {home}/tokenstore.conf;\n}}\n"
    )


def _wait(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nginx did not start:\n{errors.read_text()}")
