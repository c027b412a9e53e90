"""A server in this process, on a free port, with a tiny model."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import uvicorn

from tests.lifecycle.serving.worlds import make_workspace
from tunewright.generate.serving.engine import Engine
from tunewright.lifecycle.serving.fleet import Fleet
from tunewright.server.app import build_app
from tunewright.server.context import Server
from tunewright.store import Workspace


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    url: str
    client: openai.OpenAI
    workspace: Workspace
    fleet: Fleet
    state: Server

    @property
    def engine(self) -> Engine:
        """The engine of the tiny base."""
        with self.fleet.seat("tiny") as seat:
            assert seat.engine is not None
            return seat.engine

    def wait_until_idle(self) -> None:
        """Waits until nothing is answered any more."""
        deadline = time.monotonic() + 10
        while not self.engine.status().idle or self.fleet.status()["models"][0]["users"]:
            assert time.monotonic() < deadline, "an answer goes on that nobody waits for"
            time.sleep(0.01)


@contextlib.contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Running]:
    """Starts a server on a workspace of its own; ends it behind the block."""
    workspace = make_workspace(folder)
    fleet = Fleet(workspace, memory_bytes=256 << 20, cache_bytes=8 << 20, device="cpu")
    state = Server(workspace, fleet)
    config = uvicorn.Config(build_app(state), host="127.0.0.1", port=0, log_level="warning", **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield Running(url, client, workspace, fleet, state)
    server.should_exit = True
    thread.join()
    fleet.stop(0.0)
    workspace.close()
