"""Servers, ours and the peer's: started on a free port, waited for, and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from speed.processes import ProcessFailed

_READY_S = 300.0
_GRACE_S = 30.0
_SHOWN_LINES = 30


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Args:
        url: Its base URL, which ends in /v1.
        process: The process that was started.
    """

    url: str
    process: subprocess.Popen[bytes]

    def resident_bytes(self) -> int:
        """Memory that it and its children hold."""
        top = psutil.Process(self.process.pid)
        held = 0
        for each in (top, *top.children(recursive=True)):
            try:
                held += each.memory_info().rss
            except psutil.NoSuchProcess:  # ended between the two calls
                continue
        return held


@contextmanager
def ours(folder: Path, workspace: Path, environment: Mapping[str, str], *more: str) -> Iterator[Running]:
    """`tunewright serve` on a workspace, without a worker for jobs."""
    command = [sys.executable, "-m", "tunewright", "serve", "--workspace", str(workspace), "--no-worker", *more]
    with _server(command, "readyz", folder / "serve.log", environment) as running:
        yield running


@contextmanager
def peers(folder: Path, python: Path, model: Path, environment: Mapping[str, str], *more: str) -> Iterator[Running]:
    """`transformers serve`, with the model loaded before it says that it is there."""
    program = python.with_name("transformers")
    command = [str(program), "serve", str(model), "--device", "cpu", "--host", "127.0.0.1", *more]
    with _server(command, "health", folder / f"peer{''.join(more)}.log", environment) as running:
        yield running


@contextmanager
def _server(command: Sequence[str], ready: str, log: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    port = _free_port()
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/{ready}", log)
        yield Running(f"http://127.0.0.1:{port}/v1", process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, timeout=5.0, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not there yet
        time.sleep(0.2)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:])
    raise ProcessFailed(f"the server did not become ready; its log is {log}:\n{tail}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
