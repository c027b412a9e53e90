"""Programs run in processes of their own, to be killed, raced and starved."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path


def program(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Starts a Python program; `sys.argv[1:]` holds the arguments."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def ended(process: subprocess.Popen[str], timeout_s: float = 60) -> str:
    """What a program printed, once it has ended well."""
    out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err
    return out.strip()


def killed_at(process: subprocess.Popen[str], marker: Path) -> None:
    """Kills a program, as `kill -9` does, once it has made the marker file."""
    deadline = time.monotonic() + 60
    while not marker.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.communicate()
