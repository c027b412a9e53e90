"""A web application on this machine's own address, until somebody ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from tunewright.base import sockets

HOST = "127.0.0.1"
_MOST_AT_ONCE = 64
_PATIENCE_S = 3  # for answers that are under way when the server is ended


def listen(port: int) -> socket.socket:
    """Takes a port of this machine; 0: a free one.

    Raises:
        InputError: If it is taken, or not to be had.
    """
    return sockets.listen(HOST, port)


def serve(app: FastAPI, listening: socket.socket, *, started: Callable[[str], None]) -> None:
    """Serves an app until Ctrl-C, which is how it ends; answers under way are finished first.

    Args:
        app: The application.
        listening: Where, as `listen` gives it.
        started: Called with the address before the first request is answered.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # the paths of links are secrets
        server_header=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_PATIENCE_S,
        lifespan="off",
    )
    with listening:
        started(f"http://{HOST}:{listening.getsockname()[1]}")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt as end:
            if type(end) is not KeyboardInterrupt:  # asked to end by the system: whoever called decides
                raise
