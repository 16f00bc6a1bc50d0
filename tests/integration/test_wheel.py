"""The built wheel in an environment of its own: run from an empty folder, told by environment settings alone."""

import concurrent.futures
import json
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 40
# One worker builds the wheel, once, for all tests here.
pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    for name in ("src", "migrations"):
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    run(build, cwd=source, env=None)
    [built] = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel installed; its dependencies are those of the tests."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    interpreter = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--no-deps", "--no-index"]
    run([*install, str(wheel)], cwd=home, env=None)
    [packages] = home.glob("lib/python*/site-packages")
    # A path file adds the folder alone: the editable tokenstore there stays unseen.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def environment(database_url: str, port: int, tmp_path: Path) -> dict[str, str]:
    """All that an operator has to say; the providers named here are down."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TOKENSTORE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "TOKENSTORE_SECRET_KEY": secrets.token_hex(32),
        "TOKENSTORE_CRYPTOKEY": secrets.token_hex(32),
        "TOKENSTORE_SQLALCHEMY_DATABASE_URI": database_url,
        "TOKENSTORE_OIDC_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
        "TOKENSTORE_OIDC_CLIENT_ID": "tokenstore",
        "TOKENSTORE_OIDC_CLIENT_SECRET": secrets.token_hex(16),
        "TOKENSTORE_TOKEN_PROVIDERS": '["idp1"]',
        "TOKENSTORE_IDP1_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
        "TOKENSTORE_IDP1_CLIENT_ID": "tokenstore",
        "TOKENSTORE_IDP1_CLIENT_SECRET": secrets.token_hex(16),
    }


def run(command: list[str], *, cwd: Path, env: dict[str, str] | None) -> str:
    """What the command printed; fails the test with its output if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def gunicorn(python: Path, port: int, *, cwd: Path, env: dict[str, str], log: Path) -> Iterator[None]:
    """Two workers serving the installed store at the port."""
    bind = ["--workers", "2", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command = [str(python), "-m", "gunicorn", *bind, "tokenstore:create_app()"]
    with log.open("wb") as output, subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=output) as server:
        try:
            yield
        finally:
            server.terminate()
            try:
                server.wait(40)
            except subprocess.TimeoutExpired:
                server.kill()


def readiness(port: int) -> tuple[int, bool]:
    """Status and verdict of /readyz; (0, False) while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return answer.status, json.load(answer)["ready"] is True
    except urllib.error.HTTPError as error:
        with error:
            return error.code, False
    except OSError:
        return 0, False


def wait_until_ready(port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while readiness(port) != (200, True):
        assert time.monotonic() < deadline, f"not ready: {readiness(port)}\n{log.read_text()}"
        time.sleep(0.1)


def test_wheel_ships_migrations_and_type_marker_and_nothing_of_demo_or_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    revisions = {name for name in names if name.startswith("tokenstore/migrations/versions/") and name.endswith(".py")}

    assert {"tokenstore/py.typed", "tokenstore/migrations/env.py", "tokenstore/migrations/script.py.mako"} <= names
    assert revisions
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tokenstore"}


def test_wheel_ships_every_template_and_static_file(wheel: Path) -> None:
    ui = PROJECT / "src" / "tokenstore" / "ui"
    files = [path for folder in ("templates", "static") for path in (ui / folder).rglob("*") if path.is_file()]
    expected = {f"tokenstore/ui/{path.relative_to(ui).as_posix()}" for path in files}

    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())
    assert expected


def test_installed_wheel_is_what_the_environment_imports(python: Path, empty_folder: Path) -> None:
    where = run([str(python), "-c", "import tokenstore; print(tokenstore.__file__)"], cwd=empty_folder, env={})

    assert Path(where.strip()).is_relative_to(python.parents[1])


def test_installed_wheel_upgrades_an_empty_database_and_serves_with_one_data_key(
    python: Path, port: int, environment: dict[str, str], database_url: str, empty_folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "gunicorn.log"
    run([str(python), "-m", "flask", "--app", "tokenstore", "db", "upgrade"], cwd=empty_folder, env=environment)

    with gunicorn(python, port, cwd=empty_folder, env=environment, log=log):
        wait_until_ready(port, log)
        # Both workers get their share of these, each on a connection of its own.
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = set(pool.map(lambda _: readiness(port), range(64)))

    engine = create_engine(database_url)
    with engine.connect() as connection:
        keys = connection.execute(text("SELECT count(*) FROM vault_key")).scalar_one()
    engine.dispose()
    assert (answers, keys) == ({(200, True)}, 1), log.read_text()
