"""A server on a free port of this machine, in a thread of the test's own process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tunewright.base.sockets import listen
from tunewright.server.context import Server
from tunewright.server.serving import Patience, Web, run_on, web_server


@dataclass(frozen=True)
class Live:
    """A server that answers; `end` asks it to end, and does not wait."""

    port: int
    web: Web
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self) -> None:
        self.web.end()

    def send(self, data: bytes, *, timeout_s: float = 5.0) -> socket.socket:
        """A connection over which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout_s)
        connection.sendall(data)
        return connection


def read(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
    return data


@contextlib.contextmanager
def live(server: Server, patience: Patience | None = None, *, web: Web | None = None) -> Iterator[Live]:
    """Serves while the block runs."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    running = web or web_server(server, patience=patience or Patience(drain=1.0))
    thread = threading.Thread(target=run_on, args=(running, listening))
    thread.start()
    deadline = time.monotonic() + 10
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield Live(port, running, thread)
    finally:
        if not running.should_exit:
            running.end()
        thread.join(10)
        assert not thread.is_alive()
