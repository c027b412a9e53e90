"""A child is started again when it dies, is ended with its server."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tunewright.server.children import Child


def until(condition: Callable[[], bool], longest_s: float = 10.0) -> None:
    deadline = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def child(tmp_path: Path, program: str, *, pause_s: float = 0.05) -> Child:
    """Runs a program that may append a letter to the file `said`."""
    start = f"import os, signal, sys, time\nsaid = lambda t: open({str(tmp_path / 'said')!r}, 'a').write(t)\n"
    return Child("worker", [sys.executable, "-S", "-c", start + program], pause_s=pause_s)


def said(tmp_path: Path) -> str:
    file = tmp_path / "said"
    return file.read_text() if file.exists() else ""


TIDY = """
def end(*_):
    said('e')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
said('s')
while True:
    time.sleep(0.01)
"""


def test_it_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    worker = child(tmp_path, "said(f'{os.getpid()} ')\ntime.sleep(60)")
    worker.start()
    until(lambda: len(said(tmp_path).split()) == 1)
    assert worker.state() == "running"
    os.kill(int(said(tmp_path).split()[0]), signal.SIGKILL)
    until(lambda: len(said(tmp_path).split()) == 2)
    until(lambda: worker.state() == "running")
    worker.kill()
    assert worker.state() == "ended"


def test_one_that_cannot_live_is_tried_less_and_less_often(tmp_path: Path) -> None:
    worker = child(tmp_path, "said(f'{time.monotonic()} ')\nsys.exit(3)", pause_s=0.1)
    worker.start()
    until(lambda: len(said(tmp_path).split()) == 4)
    assert "exit code 3" in worker.state() or worker.state() == "running"
    worker.kill()
    at = [float(each) for each in said(tmp_path).split()]
    pauses = [after - before for before, after in pairwise(at)]
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert pauses[2] >= 0.4


def test_it_is_asked_to_end_and_waited_for(tmp_path: Path) -> None:
    worker = child(tmp_path, TIDY)
    worker.start()
    until(lambda: said(tmp_path) == "s")
    assert worker.wait(10) is True
    assert said(tmp_path) == "se"
    assert worker.state() == "ended"


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    worker = child(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsaid('s')\ntime.sleep(60)")
    worker.start()
    until(lambda: said(tmp_path) == "s")
    began = time.monotonic()
    assert worker.wait(0.2) is False
    assert time.monotonic() - began < 5


def test_a_program_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child("worker", [str(tmp_path / "absent")]).start()
