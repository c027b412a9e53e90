"""The worker beside a server works, ends when it is asked to, and does not outlive its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tunewright.base.files import write_text
from tunewright.server.worker_process import Order
from tunewright.store import Workspace

# A server that starts a worker, says its number, and waits.
SERVER = """
import os, subprocess, sys, time
from tunewright.server.worker_process import Order
order = Order(os.getpid(), sys.argv[1], 1 << 30, False, "json")
worker = subprocess.Popen(order.command(), stdin=subprocess.DEVNULL, start_new_session=True)
print(worker.pid, flush=True)
time.sleep(60)
"""


def until_gone(process: int, longest_s: float = 20.0) -> None:
    deadline = time.monotonic() + longest_s
    while Path(f"/proc/{process}").exists() and "Z" not in Path(f"/proc/{process}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "it has outlived its server"
        time.sleep(0.05)


def test_it_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    write_text(tmp_path / "server.py", SERVER)
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(
        [sys.executable, tmp_path / "server.py", tmp_path / "ws"], stdout=subprocess.PIPE, stderr=log, text=True
    )
    assert server.stdout is not None
    worker = int(server.stdout.readline())
    server.kill()
    server.wait()
    until_gone(worker)


def test_it_works_and_ends_when_asked(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "ws")
    workspace.enqueue("validation", "ftjob-none/files")  # a job that is not there: given up, and said
    order = Order(os.getpid(), str(workspace.root), 1 << 30, False, "json")
    log = tmp_path / "log"
    with log.open("wb") as file:
        worker = subprocess.Popen(order.command(), stdin=subprocess.DEVNULL, stderr=file, start_new_session=True)
    deadline = time.monotonic() + 20
    while "worker: claimed" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        assert worker.poll() is None, log.read_text()
        time.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert "the worker has ended" in log.read_text()
