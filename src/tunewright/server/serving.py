"""The server from its start to its end: it listens, answers, and ends without cutting an answer off."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, Protocol

import uvicorn

from tunewright.base.errors import InputError
from tunewright.server.access import LOOPBACK
from tunewright.server.app import build_app
from tunewright.server.connections import HEADER_BYTES, bounded
from tunewright.server.context import Server

Ended = Literal["asked", "interrupted", "forced"]

_KEEP_ALIVE_S = 15
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Patience:
    """How long the server waits for whom, in seconds.

    Args:
        headers: For a request's headers to be whole.
        stall: For a client to go on reading its answer.
        drain: For answers that are under way when the server is to end.
        connections: No time, but the number of connections that may be open at once.
    """

    headers: float = 10.0
    stall: float = 60.0
    drain: float = 30.0
    connections: int = 512


class Beside(Protocol):
    """What runs beside the server, and ends with it."""

    def ask_to_end(self) -> None:
        """Begins to end; called as soon as the server is asked to end, maybe by a signal's handler."""
        ...


@dataclass(frozen=True)
class Certificate:
    """What TLS needs: files in PEM form."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raises `InputError` where they cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise InputError(
                f"This certificate and key cannot be used ({error})",
                where=f"--tls-cert {self.certificate} --tls-key {self.key}",
                hint="Both are PEM files, the key without a password, and belong together.",
            ) from error


def _no_password() -> str:
    raise ValueError("the key has a password")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    Raises:
        InputError: If it is no address.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"The address {host} is unknown ({error})", where="--host") from error
    return all(address[0] == "::1" or str(address[0]).startswith("127.") for *_, address in found)


def check_exposure(host: str, *, keys: bool) -> None:
    """Refuses to be reached from elsewhere without keys.

    Raises:
        InputError: If the host is not this machine alone, and no key is asked for.
    """
    if not keys and not is_loopback(host):
        raise InputError(
            f"Without keys only this machine may be served, and {host} is reached from elsewhere",
            where="--host",
            hint="Make a key with `tunewright keys create NAME`, then add --keys; or listen on 127.0.0.1.",
        )


def own_names(host: str) -> frozenset[str]:
    """By which names a request may call a server that asks for no key."""
    return LOOPBACK | {f"[{host}]" if ":" in host else host}


class Web(uvicorn.Server):
    """uvicorn's server, which ends as ours shall.

    The first signal lets running answers finish; a second one does not. None is raised again: how the program ends is
    for its caller to decide.

    Args:
        asked: Called at the first signal.
    """

    def __init__(self, config: uvicorn.Config, asked: Callable[[], None]) -> None:
        super().__init__(config)
        self._asked = asked
        self.ended: Ended = "asked"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes signals while it serves, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        # No bound method: sse-starlette looks for the server behind the handler, and would cut off its streams.
        def end(number: int, _frame: FrameType | None) -> None:
            self.end(interrupted=number == signal.SIGINT)

        before = {number: signal.signal(number, end) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self, *, interrupted: bool = False) -> None:
        """Ends it; for the second time, at once."""
        if self.should_exit:
            self.force_exit = True
            # What is torn down from here on complains of just that.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            self.ended = "forced"
            return
        self.should_exit = True
        self.ended = "interrupted" if interrupted else "asked"
        self._asked()


def web_server(
    server: Server,
    *,
    patience: Patience | None = None,
    tls: Certificate | None = None,
    beside: tuple[Beside, ...] = (),
) -> Web:
    """The web server of a server's application; `run_on` runs it.

    Args:
        beside: What is told to end at the same time.
    """
    wait = patience or Patience()

    def asked() -> None:
        server.is_ending = True
        for each in beside:
            each.ask_to_end()

    config = uvicorn.Config(
        build_app(server),
        http=bounded(most=wait.connections, header_timeout_s=wait.headers, stall_timeout_s=wait.stall),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whom a header names as its sender decides nothing here
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(wait.drain)),
        h11_max_incomplete_event_size=HEADER_BYTES,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return Web(config, asked)


def run_on(web: Web, listening: socket.socket) -> Ended:
    """Serves until it is asked to end, and answers under way are finished.

    Returns:
        How it ended: asked (SIGTERM), interrupted (Ctrl-C), or forced (asked twice).
    """
    with listening:
        web.run(sockets=[listening])
    return web.ended
