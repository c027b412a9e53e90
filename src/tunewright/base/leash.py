"""A program on a leash: `python -m tunewright.base.leash PARENT PROGRAM ARGUMENT…` runs it until PARENT is gone.

For programs of others, which know nothing of whoever started them. The program and all that it starts form a group of
their own, which is asked to end by SIGTERM, and ended where it does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from tunewright.base.asked import Asked

GRACE_S = 10.0
_LOOK_EVERY_S = 0.2


def leashed(command: Sequence[str]) -> list[str]:
    """The command that runs another one until this process is gone."""
    return [sys.executable, "-m", "tunewright.base.leash", str(os.getpid()), *command]


def main(parent: int, command: Sequence[str]) -> int:
    """Runs a program; gives its exit code."""
    asked = Asked(signal.SIGTERM)
    program = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - what our own caller has put together
    while os.getppid() == parent and not asked.to_end:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.wait(_LOOK_EVERY_S)
    _end(program)
    return program.wait()


def _end(program: subprocess.Popen[bytes]) -> None:
    """Ends a program and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, number)
        deadline = time.monotonic() + GRACE_S
        while _lives(program.pid) and time.monotonic() < deadline:
            program.poll()  # a group lives as long as its first process is not buried
            time.sleep(0.02)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
