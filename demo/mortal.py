"""`python -m demo.mortal PARENT COMMAND…`: becomes the command, which ends with the process PARENT, even a killed one.

Linux knows how; elsewhere the command simply runs until it is told to stop.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replace this process by the command."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606  (that is the purpose)


if __name__ == "__main__":
    main(sys.argv[1:])
