"""A small web site on this machine, for tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes] | Callable[[Any], None]


@contextlib.contextmanager
def site(pages: dict[str, Reply]) -> Iterator[tuple[str, list[str]]]:
    """Yields the address of a site with these pages, and the list of paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            reply = pages.get(self.path, (404, {}, b""))
            if callable(reply):
                with contextlib.suppress(OSError):  # the visitor went away
                    reply(self)
                return
            status, headers, body = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(text: str, title: str = "A page", kind: str = "text/html; charset=utf-8") -> Reply:
    """A page with one long paragraph."""
    body = f"<html><head><title>{title}</title></head><body><article><p>{text}</p></article></body></html>"
    return 200, {"Content-Type": kind}, body.encode()


def drip(handler: Any) -> None:
    """A page that never ends: a byte every now and then."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def flood(handler: Any) -> None:
    """A page without end, as fast as it goes."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)
