"""Starts a command in several processes on this machine, through torch's elastic launcher, until all have ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing import PContext

_HERE = "127.0.0.1"
# How long a process may take for its last step and checkpoint after Ctrl-C.
_LAST_STEP_S = 600
_IMPATIENT = 3  # times of Ctrl-C after which nothing is waited for


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command in several processes has ended.

    Args:
        code: The first process's exit code, as a shell counts: 128 and the signal's number where one ended it.
        lost: Processes that a signal ended that nobody here sent, each with its name; the cause of the end.
    """

    code: int
    lost: dict[int, str]


def launch(processes: int, arguments: Sequence[str]) -> Ending:
    """Runs `tunewright ARGUMENTS…` in several processes, of which the first one reads, writes and speaks.

    Ctrl-C and SIGTERM are passed on to all. Where one process fails, the others are ended. None outlives this one.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, start_processes

    # Bound to this machine alone: what the processes tell each other is nobody else's to hear, or to say.
    server = socket.create_server((_HERE, 0))
    port = server.getsockname()[1]
    store = TCPStore(_HERE, port, is_master=True, wait_for_workers=False, master_listen_fd=server.detach())
    with _handlers_kept(), _silent():
        context = start_processes(
            "tunewright",
            sys.executable,
            dict.fromkeys(range(processes), ("-m", "tunewright", *arguments)),
            {rank: _environment(rank, processes, port) for rank in range(processes)},
            DefaultLogsSpecs(),
        )
        asked = False
        try:
            context.wait(period=0.2)
        except SignalException as signalled:
            asked = True
            _pass_on(context, signalled.sigval)
    del store  # lived as long as they did
    codes = {rank: _code(handler.proc.poll()) for rank, handler in _handlers(context).items()}
    lost = {} if asked else {rank: signal.Signals(-code).name for rank, code in codes.items() if code < 0}
    return Ending(codes[0] if codes[0] >= 0 else 128 - codes[0], lost)


def _code(found: int | None) -> int:
    """An exit code; of a process that hangs in the kernel, after it was killed, that of the signal."""
    return -signal.SIGKILL if found is None else found


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun would set, and threads so that all of them together use each core once."""
    told = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": processes,
        "LOCAL_WORLD_SIZE": processes,
        "MASTER_ADDR": _HERE,
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": True,  # the store above is theirs
        "TORCHELASTIC_RESTART_COUNT": 0,
    }
    chosen = {
        "OMP_NUM_THREADS": max(1, (os.cpu_count() or 1) // processes),
        "GLOO_SOCKET_IFNAME": _loopback(),
    }
    return {key: str(value) for key, value in (told | chosen).items() if key in told or key not in os.environ}


def _loopback() -> str:
    """The name of the network interface that leads nowhere else."""
    import psutil

    found = (name for name, held in psutil.net_if_addrs().items() if any(each.address == _HERE for each in held))
    return next(found, "lo")


def _pass_on(context: PContext, number: signal.Signals) -> None:
    """Sends a signal to all processes, and each further one as it comes; waits for them to end."""
    from torch.distributed.elastic.multiprocessing import SignalException

    for _ in range(_IMPATIENT - 1):
        try:
            context.close(number, _LAST_STEP_S)
            return
        except SignalException as again:
            number = again.sigval
    context.close(signal.SIGKILL, _LAST_STEP_S)


def _handlers(context: Any) -> dict[int, Any]:
    found: dict[int, Any] = context.subprocess_handlers
    return found


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Puts back what torch's launcher replaces: what signals do."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps the launcher's log from the terminal: the first process speaks for itself."""
    loggers = [
        log
        for name in list(logging.root.manager.loggerDict)
        if name.startswith("torch.distributed.elastic") and isinstance(log := logging.getLogger(name), logging.Logger)
    ]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
