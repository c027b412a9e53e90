"""What holds programs that nobody has read: each way out is tried."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tunewright.metrics._sandbox import run_program

SECRET = Path(__file__)


def _run(program: str, timeout_s: float = 20.0, memory_bytes: int = 1 << 30) -> tuple[bool, str]:
    ran = run_program(program, timeout_s=timeout_s, memory_bytes=memory_bytes)
    return ran.passed, ran.why


def test_what_computes_passes() -> None:
    program = """
import collections, math, random, re, json, dataclasses, fractions, datetime
assert math.comb(5, 2) == 10
with open("own.txt", "w") as file:
    file.write("x")
assert open("own.txt").read() == "x"
"""
    assert _run(program) == (True, "")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("assert 1 == 2, 'not so'", "not so"),
        ("import os; os._exit(0)", "ended before"),
        ("raise SystemExit(0)", "ended before"),
        ("x =", "SyntaxError"),
        ("import socket; socket.socket()", "socket"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "not allowed"),
        ("import subprocess; subprocess.run(['true'])", "not allowed"),
        ("import os; os.system('true')", "not allowed"),
        ("import os; os.fork()", "not allowed"),
        ("import os; os.kill(os.getppid(), 9)", "not allowed"),
        (f"open({str(SECRET)!r}).read()", "outside of the working folder"),
        ("open('/tmp/left-behind', 'w')", "outside of the working folder"),
        ("import os; os.remove('/tmp/any')", "outside of the working folder"),
        ("import os; os.listdir('/')", "outside of the working folder"),
        ("import ctypes; ctypes.CDLL(None)", "not allowed"),
        ("import os; assert 'PYTHONPATH' in os.environ, 'nothing is inherited'", "nothing is inherited"),
    ],
)
def test_what_leads_out_is_refused(program: str, why: str) -> None:
    passed, said = _run(program)
    assert not passed
    assert why in said


def test_memory_and_files_are_limited() -> None:
    passed, said = _run("x = bytearray(1 << 30)", memory_bytes=256 << 20)
    assert (passed, said) == (False, "MemoryError")
    assert not _run("open('big', 'wb').write(bytes(64 << 20))")[0]


def test_time_is_limited_and_children_end_with_it() -> None:
    started = time.monotonic()
    assert _run("import time; time.sleep(60)", timeout_s=2.0) == (False, "not done in 2 s")
    assert not _run("while True: pass", timeout_s=1.0)[0]
    assert time.monotonic() - started < 30
