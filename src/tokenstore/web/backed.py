"""The files of `/metrics`, with their room on the disk taken before anything is counted in them.

Prometheus' library maps files with holes into memory. On a full disk the first write into a hole ends the process by
a signal, in the middle of whatever it does; taking the room first makes an OSError of it.
"""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict
from typing_extensions import override

_FIRST_SIZE = 1 << 16
_MOST_BESIDE_KEY = 28
"""Bytes that an entry needs besides its key: its length, padding, value and timestamp."""


class BackedDict(MmapedDict):
    """The library's file of numbers, without holes. Raises OSError where there is no room, and changes nothing then."""

    @override
    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            with Path(filename).open("ab", buffering=0) as file:
                _back(file.fileno(), _FIRST_SIZE)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # of the library

    @override
    def _init_value(self, key: str) -> None:
        size = self._capacity
        while self._used + len(key.encode()) + _MOST_BESIDE_KEY > size:
            size *= 2
        if size > self._capacity:
            _back(self._f.fileno(), size)
            self._m = mmap.mmap(self._f.fileno(), size)
            self._capacity = size
        super()._init_value(key)  # type: ignore[no-untyped-call]  # of the library

    @override
    def write_value(self, key: str, value: float, timestamp: float) -> None:
        # Closed after a fork, and there was no room to open another.
        if self._m is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]  # of the library


def use_backed_files() -> None:
    """Have the library count in files without holes, from the next one that it opens."""
    values.MmapedDict = BackedDict  # type: ignore[attr-defined]  # it has no other place for it


def _back(descriptor: int, size: int) -> None:
    """Lengthen a file to `size` bytes by writing: holes, and what is only promised, could still fail later."""
    before = os.fstat(descriptor).st_size
    missing = size - before
    try:
        while missing > 0:
            missing -= os.write(descriptor, bytes(missing))
    except OSError:
        os.ftruncate(descriptor, before)
        raise
