"""The keeper in a process: beside the requests that it serves, or as the only thing that it does."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flask import Flask

from tokenstore.core.metrics import Metrics
from tokenstore.core.usage import Usage
from tokenstore.errors import TokenStoreError
from tokenstore.keeper.loop import Loop, Ran, Routine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)


class Keeper:
    """The chores of a process. own: those for itself and its machine; shared: those that one process does for all.

    embedded: whether a serving process does the shared ones, too.
    """

    def __init__(
        self, own: Sequence[Routine], shared: Sequence[Routine], usage: Usage, metrics: Metrics, *, embedded: bool
    ) -> None:
        self._own = own
        self._shared = shared
        self._usage = usage
        self._metrics = metrics
        self._embedded = embedded
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: Loop | None = None
        self._thread: threading.Thread | None = None

    def foreground(self, report: Callable[[Ran], None]) -> Loop:
        """All chores, for a process that does nothing else: `run` or `run_once` it."""
        return Loop([*self._own, *self._shared], self._metrics, report)

    def begin(self) -> None:
        """Begin in the background, if this process has not yet; costs nothing then.

        Called by each request: threads do not survive a fork, and what forks serves nothing before.
        """
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
                self._pid = os.getpid()

    def _begin(self) -> None:
        self._loop = Loop([*self._own, *(self._shared if self._embedded else ())], self._metrics, logged)
        # No daemons: the interpreter waits for them when it ends, so that no refresh is cut off.
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="keeper")
        watch = threading.Thread(target=_stop_at_the_end, args=(self._loop,), name="keeper-end")
        try:
            self._thread.start()
            watch.start()
        except RuntimeError:
            self._loop.stop()
            log.exception("the keeper cannot begin in this process")

    def _run(self, loop: Loop) -> None:
        loop.run()
        try:
            self._usage.flush()
        except TokenStoreError as error:
            log.warning("the last uses of links are not written down", extra={"because": error.slug})

    def stop(self) -> None:
        """Begin no run any more in this process; those under way come to their end. Returns at once."""
        if self._loop is not None:
            self._loop.stop()

    def end(self) -> None:
        """Stop, and wait until all has come to its end."""
        self.stop()
        if self._thread is not None:
            self._thread.join()


def begin_with_requests(app: Flask, keeper: Keeper) -> None:
    """Begin the keeper with the first request that a process serves."""
    wsgi = app.wsgi_app

    def begun(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        keeper.begin()
        return wsgi(environ, start_response)

    app.wsgi_app = begun  # type: ignore[method-assign]  # the way Flask documents


def logged(ran: Ran) -> None:
    """A line for each run that did something."""
    done = ran.done
    if done is not None and done.count:
        did = {"count": done.count, "more": done.more, "failed": done.failed}
        log.info("chore done", extra={"chore": ran.name, **did, "seconds": round(ran.seconds, 3)})


def _stop_at_the_end(loop: Loop) -> None:
    """Stop the loop when the main thread has come to its end."""
    threading.main_thread().join()
    loop.stop()
