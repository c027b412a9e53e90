"""A program on a leash ends with whoever started it, and so does all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tunewright.base.leash import leashed

# Starts a child, says both numbers, and waits.
PROGRAM = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until_gone(*processes: int) -> None:
    deadline = time.monotonic() + 15
    while not all(map(gone, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_exit_code_is_the_program_s() -> None:
    assert subprocess.run(leashed([sys.executable, "-S", "-c", "raise SystemExit(7)"])).returncode == 7


def test_asked_to_end_it_ends_all(tmp_path: Path) -> None:
    held = subprocess.Popen(leashed([sys.executable, "-S", "-c", PROGRAM]), stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    program, child = map(int, held.stdout.readline().split())
    held.terminate()
    held.wait(15)
    until_gone(program, child)


def test_it_does_not_outlive_its_parent() -> None:
    start = (
        "import subprocess, sys, time\nfrom tunewright.base.leash import leashed\n"
        f"subprocess.Popen(leashed([sys.executable, '-S', '-c', {PROGRAM!r}]))\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert parent.stdout is not None
    program, child = map(int, parent.stdout.readline().split())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until_gone(program, child)
