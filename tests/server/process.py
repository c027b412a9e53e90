"""A real server in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 120.0
_GRACE_S = 60.0


class NotReady(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """A server ended, or took too long, before it could answer; holds the end of its log."""


@contextlib.contextmanager
def started(workspace: Path, *flags: str, log: Path) -> Iterator[str]:
    """`tunewright serve` on a workspace; yields its address, without /v1, and ends it in the end.

    Raises:
        NotReady: If it does not begin to answer.
    """
    port = _free_port()
    command = [sys.executable, "-m", "tunewright", "serve", "--port", str(port), "--workspace", str(workspace), *flags]
    environment = {name: value for name, value in os.environ.items() if name != "TUNEWRIGHT_HOME"}
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), environment.get("PYTHONPATH", ""))))
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    with log.open("ab") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, f"{url}/readyz", log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):  # not there yet
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise NotReady(f"{process.args}: ended with {process.poll()}\n{log.read_text(errors='replace')[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
