"""An endpoint on this machine that answers, fails, stalls or dies as a test tells it to."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What a script does with one request: gives the answer's text, or one of the below.
Script = Callable[[dict[str, Any]], "str | Fails | Stalls | Dies | Says"]


@dataclass(frozen=True)
class Fails:
    """Answers with a status."""

    status: int
    message: str = "no"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Says:
    """Answers with these bytes and status 200."""

    content: bytes


@dataclass(frozen=True)
class Stalls:
    """Sends nothing, or a byte now and then."""

    seconds: float
    trickles: bool = False


@dataclass(frozen=True)
class Dies:
    """Breaks off in the middle of its answer."""


@dataclass
class Server:
    """A running endpoint.

    Args:
        url: Its base URL.
        asked: The bodies of all requests, in the order in which they came.
        keys: Their Authorization headers.
        most_at_once: Most requests that were under way at one time.
    """

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most_at_once: int = 0
    under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def users(self) -> list[str]:
        """What the users' messages said."""
        return [body["messages"][-1]["content"] for body in self.asked]


@contextlib.contextmanager
def serving(script: Script, usage: bool = True) -> Iterator[Server]:
    """Runs an endpoint that does what a script says for each request's body."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if len(sent) < int(self.headers["Content-Length"]):
                return  # the client is gone
            body = json.loads(sent)
            with state.lock:
                state.asked.append(body)
                state.keys.append(self.headers["Authorization"])
                state.under_way += 1
                state.most_at_once = max(state.most_at_once, state.under_way)
            what = script(body)
            with state.lock:  # before the answer goes out: the next request may come at once
                state.under_way -= 1
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._do(what)

        def _do(self, what: Any) -> None:
            if isinstance(what, Stalls):
                self._stall(what)
            elif isinstance(what, Dies):
                self._begin(200, 1000)
                self.wfile.write(b'{"choices": [{"mess')
                self.close_connection = True
            elif isinstance(what, Fails):
                content = json.dumps({"error": {"message": what.message, "code": what.message}}).encode()
                self._begin(what.status, len(content), what.headers)
                self.wfile.write(content)
            elif isinstance(what, Says):
                self._begin(200, len(what.content))
                self.wfile.write(what.content)
            else:
                content = json.dumps(completion(what, usage)).encode()
                self._begin(200, len(content))
                self.wfile.write(content)

        def _stall(self, what: Stalls) -> None:
            until = time.monotonic() + what.seconds
            if what.trickles:
                self._begin(200, 10_000)
            while time.monotonic() < until:
                time.sleep(0.02)
                if what.trickles:
                    self.wfile.write(b" ")
                    self.wfile.flush()
            self.close_connection = True

        def _begin(self, status: int, length: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def completion(text: str, usage: bool = True) -> dict[str, Any]:
    """A chat completion as the API answers it; ten tokens for the prompt, five for the answer."""
    value: dict[str, Any] = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
    }
    return value | ({"usage": {"prompt_tokens": 10, "completion_tokens": 5}} if usage else {})
