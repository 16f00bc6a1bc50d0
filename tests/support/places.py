"""A provider at which others are busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tokenstore.core.places import Places


@contextmanager
def taken(places: Places, group: str) -> Iterator[None]:
    """Another thread has a place of the group until the end of the block."""
    inside, go = threading.Event(), threading.Event()

    def stay() -> None:
        with places.enter(group) as admitted:
            assert admitted
            inside.set()
            go.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    try:
        assert inside.wait(30)
        yield
    finally:
        go.set()
        thread.join()
