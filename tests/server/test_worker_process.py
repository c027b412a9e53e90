"""The worker beside a server works, and does not outlive its server."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tunewright.base.files import write_text
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

# A worker that is asked to end while it starts, in the middle of a finaliser.
ASKED_EARLY = """
import os, signal, sys
from tunewright.server import worker_process
from tunewright.store import Workspace

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

real = Workspace.open
def opened(root):
    Dying()
    return real(root)
Workspace.open = opened
order = worker_process.Order(os.getppid(), sys.argv[1], 1 << 30, False, "json")
worker_process.main(order.command()[-1])
"""


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_works_and_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "ws")
    workspace.enqueue("validation", "ftjob-none/files")  # of a job that is not there
    write_text(tmp_path / "server.py", SERVER)
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [sys.executable, tmp_path / "server.py", workspace.root]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
    assert server.stdout is not None
    worker = int(server.stdout.readline())
    deadline = time.monotonic() + 30
    while "worker: claimed" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        assert not is_gone(worker), log.read_text()
        time.sleep(0.02)
    server.kill()
    server.wait()
    while not is_gone(worker):
        assert time.monotonic() < deadline, "it has outlived its server"
        time.sleep(0.02)
    assert "the worker has ended" in log.read_text()


def test_asked_to_end_while_it_starts_it_ends(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", ASKED_EARLY, tmp_path / "ws"], capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "the worker has ended" in outcome.stderr
