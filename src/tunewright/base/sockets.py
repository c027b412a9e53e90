"""Addresses of this machine that a server listens on."""

from __future__ import annotations

import errno
import socket

from tunewright.base.errors import InputError


def listen(host: str, port: int) -> socket.socket:
    """Takes a port; 0: a free one.

    Raises:
        InputError: If it is taken, or not to be had, or the host is none of this machine's.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise _unusable(host, port, error) from error
    listening = socket.socket(family, kind)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address[0], port, *address[2:]))
        listening.listen()  # at once: who is told the address may come before the server is ready to answer
    except (OSError, OverflowError) as error:
        listening.close()
        raise _unusable(host, port, error) from error
    return listening


def _unusable(host: str, port: int, error: Exception) -> InputError:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return InputError(
            f"The address {host} is none of this machine's ({error})",
            where="--host",
            hint="127.0.0.1 is this machine alone, 0.0.0.0 all of its addresses.",
        )
    taken = number == errno.EADDRINUSE
    return InputError(
        f"Port {port} is taken by another program" if taken else f"Port {port} cannot be had ({error})",
        where="--port",
        hint="Name another with --port, or 0 for any that is free.",
    )
