"""How Gunicorn serves the store: `gunicorn --config deploy/gunicorn.conf.py`. Options on the command line go before.

Owns the number of processes and threads, the orderly stop, log lines of the form that the store writes, and the
folder in which all processes count for `/metrics`.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from tokenstore.core.places import THREADS
from tokenstore.web.logs import formatter

_THREADS = "TOKENSTORE_REQUEST_THREADS"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_MADE = "tokenstore-metrics-"
_MADE_HERE = f"{_MADE}{os.getpid()}-"


class JsonLogger(Logger):
    """Gunicorn's own lines, as the store writes its lines: JSON, redacted, with the request id."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(formatter())


wsgi_app = "tokenstore:create_app()"
bind = "127.0.0.1:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
# The store reads it, too: it has to know how many threads a slow provider may hold up.
threads = int(os.environ.get(_THREADS, THREADS))

# Longer than the calls of a refresh, 26 s: a worker that stops lets its refreshes come to their end.
graceful_timeout = 30

logger_class = JsonLogger
# The store logs by itself. Whoever wants these lines says `--access-logfile -`; a query may hold a code.
accesslog = None
access_log_format = "%(h)s %(m)s %(U)s %(s)s %(B)s"

# What forwarded headers mean is decided by PROXY_HOPS alone.
forwarded_allow_ips = ""
control_socket_disable = True


def _make_folder() -> None:
    """Make the folder that the operator names, or one that goes with this process."""
    # A folder that another such process made ends with that one; ours stays when this file is read again.
    name = Path(os.environ.get(_FOLDER, _MADE)).name
    if name.startswith(_MADE) and not name.startswith(_MADE_HERE):
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix=_MADE_HERE)
        atexit.register(_remove_folder, os.getpid())
    Path(os.environ[_FOLDER]).mkdir(mode=0o700, parents=True, exist_ok=True)


def _remove_folder(maker: int) -> None:
    """Remove what was made here, where no server began: `--check-config`, an application that cannot be loaded."""
    if os.getpid() == maker:  # and no worker
        shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)


# Now, as Prometheus' library looks when it is imported: before every hook where there is `--preload`.
_make_folder()


def on_starting(_server: Arbiter) -> None:
    """Begin to count anew. Not when this file is read: it is read again on a reload, while workers count."""
    for old in Path(os.environ[_FOLDER]).glob("*_[0-9]*.db"):
        old.unlink()


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Let the keeper of a worker that ends begin nothing more. What it has begun the process waits for."""
    from tokenstore.keeper.operations import Operations

    with suppress(AttributeError, KeyError):  # it was not loaded, or is wrapped into something
        Operations.of(worker.wsgi).keeper.stop()


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """What a worker counted stays; what it alone was is forgotten."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(_server: Arbiter) -> None:
    """Remove the folder, if it was made here."""
    if Path(os.environ.get(_FOLDER, "")).name.startswith(_MADE_HERE):
        shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)
