"""Runs a program that nobody has read in a process of its own, and says whether it came to its end.

What holds it: an interpreter apart from the environment (`-I`, nothing inherited), an empty folder that is deleted,
limits on processor time, memory, file size and number of processes, and its end, with all of its children, when the
time is up. It has no network: a namespace without one where the system lets us make it, else Python's own hooks refuse
every socket. The hooks also refuse files outside of its folder and of Python's own, other programs, and foreign code.
Hooks are a fence against accidents, not against an attacker: run strangers' code in a container or machine of its own.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

_CONFINED = Path(__file__).with_name("_confined.py")
_MOST_FILE_BYTES = 16 << 20
_MORE_PROCESSES = 64
_READ_BYTES, _SHOWN = 4096, 200


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program went: whether it came to its end, and the last line of its error otherwise.

    Args:
        passed: Whether the last line was reached.
        why: What it died of.
        answer: Its global `answer` as JSON, where it was asked for.
    """

    passed: bool
    why: str = ""
    answer: str = ""


@cache
def network_of() -> str:
    """How the network is kept away on this machine: `namespace`, or `hooks` where the system allows none."""
    return _start("", word="", only_asks=True, timeout_s=30.0, memory_bytes=1 << 30)[0] or "hooks"


def run_program(program: str, *, timeout_s: float, memory_bytes: int, answers: bool = False) -> Ran:
    """Runs a program until its last line.

    Args:
        program: Python source.
        timeout_s: Seconds until it is ended, on the clock and of processor time.
        memory_bytes: Most address space that it may have.
        answers: Whether its global `answer` is wanted, a small JSON value.

    Returns:
        Passed only if the last line was reached: a program that exits before has not passed, whatever it says.
    """
    word = secrets.token_hex(16)
    said, error, late = _start(program, word=word, timeout_s=timeout_s, memory_bytes=memory_bytes, answers=answers)
    if said.startswith(word):
        return Ran(True, answer=said.removeprefix(word))
    return Ran(False, f"not done in {timeout_s:g} s" if late else error or "ended before its last line")


def _start(
    program: str,
    *,
    word: str,
    timeout_s: float,
    memory_bytes: int,
    only_asks: bool = False,
    answers: bool = False,
) -> tuple[str, str, bool]:
    """The process's last word, the last line of its error, and whether its time was up."""
    told = {
        "program": program,
        "word": word,
        "only_asks": only_asks,
        "answers": answers,
        "cpu_s": math.ceil(timeout_s),
        "memory": memory_bytes,
        "file": _MOST_FILE_BYTES,
        "processes": _processes_of_mine() + _MORE_PROCESSES,
    }
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tunewright-", ignore_cleanup_errors=True))
        errors, last = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        process = subprocess.Popen(  # noqa: S603 - our own interpreter; the program is what the recipe asks to run
            [sys.executable, "-I", "-B", str(_CONFINED), str(last.fileno())],
            cwd=folder,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(last.fileno(),),
            start_new_session=True,
        )
        late = _wait(process, json.dumps(told).encode(), timeout_s)
        return _read(last), _read(errors).strip().rpartition("\n")[2][:_SHOWN], late


@cache
def _processes_of_mine() -> int:
    """Processes and threads that the user has: the limit counts all of them, and not the program's alone."""
    import psutil

    mine = os.getuid()
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            count += process.num_threads() if process.uids().real == mine else 0
    return count


def _wait(process: subprocess.Popen[bytes], told: bytes, timeout_s: float) -> bool:
    """Waits until the process ends or its time is up, and ends it with all of its children."""
    try:
        process.communicate(told, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return True
    finally:
        with contextlib.suppress(ProcessLookupError):  # nobody of its session is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return False


def _read(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - _READ_BYTES))
    return file.read().decode(errors="replace")
