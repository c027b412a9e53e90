"""One server with all that runs beside it: models in memory, the worker's process, an exporter. Started, and ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from tunewright.base.sockets import listen
from tunewright.server import logs
from tunewright.server.children import Child
from tunewright.server.context import Server, Settings
from tunewright.server.gauges import add_gauges
from tunewright.server.serving import Certificate, Ended, Patience, check_exposure, own_names, run_on, web_server
from tunewright.server.watching import Watch
from tunewright.server.worker_process import Order
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.lifecycle.serving.fleet import Fleet

# A job saves its step and writes a checkpoint before it leaves.
WORKER_END_S = 120.0
# Of the memory that is free at the start, where nobody says what models that answer may take.
_WORKER_SHARE = 0.4


@dataclass(frozen=True)
class Plan:
    """What is started, and how.

    Args:
        settings: The server's.
        has_worker: Whether a worker runs beside the server.
        memory_bytes: Most that models in memory may take; None: a share of what is free.
        tls: The certificate to serve with; None: plain HTTP.
        otlp: Where measurements are sent; empty: nowhere.
        log: The form of the worker's log.
        engine: What computes answers.
        vllm_arguments: Further ones of `vllm serve`.
        patience: How long to wait for whom.
    """

    settings: Settings = field(default_factory=Settings)
    has_worker: bool = True
    memory_bytes: int | None = None
    tls: Certificate | None = None
    otlp: str = ""
    log: logs.Format = "text"
    engine: Literal["native", "vllm"] = "native"
    vllm_arguments: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Address:
    """Where a server listens: `url` is what clients take as OPENAI_BASE_URL."""

    host: str
    port: int
    scheme: str

    @property
    def url(self) -> str:
        """The API's address."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}:{self.port}/v1"


def serve(workspace: Workspace, plan: Plan, *, started: Callable[[Address], None], fleet: Fleet | None = None) -> Ended:
    """Serves until it is asked to end; then running answers finish, and the worker leaves its job at a checkpoint.

    Args:
        started: Called as soon as requests are taken.
        fleet: Models in memory, started here and stopped; None: this workspace's, under the plan's memory.

    Returns:
        How it ended.

    Raises:
        InputError: If it may not listen there, or cannot.
        KeyboardInterrupt: If it is interrupted once more while it waits for the worker.
    """
    settings = plan.settings
    check_exposure(settings.host, keys=settings.keys)
    if plan.tls is not None:
        plan.tls.check()
    if not settings.keys:
        settings = replace(settings, hosts=own_names(settings.host))
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen(settings.host, settings.port))
        settings = replace(settings, port=listening.getsockname()[1])
        watch = Watch()
        if plan.otlp:
            from tunewright.server.otlp import Exporter

            exporter = Exporter(plan.otlp)
            watch.listeners.append(exporter)
            stack.callback(exporter.end)
        models = fleet or _open_fleet(workspace, plan)
        server = Server(workspace, models, settings, watch)
        add_gauges(server)
        models.start()
        stack.callback(models.stop, plan.patience.drain)
        worker = _start_worker(_order(workspace, plan), stack) if plan.has_worker else None
        server.worker = worker
        beside = (worker,) if worker is not None else ()
        web = web_server(server, patience=plan.patience, tls=plan.tls, beside=beside)
        listening.listen()
        started(Address(settings.host, settings.port, "https" if plan.tls else "http"))
        ended = run_on(web, listening)
        if ended == "forced" and worker is not None:
            worker.kill()
        return ended


def _start_worker(order: Order, stack: contextlib.ExitStack) -> Child:
    worker = Child("worker", order.command())
    worker.start()

    def end() -> None:
        worker.ask_to_end()
        if worker.state() != "ended":
            logs.said("waiting for the worker to leave its job at a checkpoint", at_most_s=WORKER_END_S)
        try:
            worker.wait(WORKER_END_S)
        except KeyboardInterrupt:
            worker.kill()
            raise

    stack.callback(end)
    return worker


def _order(workspace: Workspace, plan: Plan) -> Order:
    """What the worker is told: it has what models that answer leave free."""
    from tunewright.models.available import available_bytes

    free = available_bytes()
    left = free - plan.memory_bytes if plan.memory_bytes else int(_WORKER_SHARE * free)
    return Order(os.getpid(), str(workspace.root), max(1, left), plan.settings.python_graders, plan.log)


def _open_fleet(workspace: Workspace, plan: Plan) -> Fleet:
    if plan.engine == "vllm":
        from tunewright.lifecycle.serving.vllm_fleet import VllmFleet

        return VllmFleet(workspace, arguments=plan.vllm_arguments, memory_bytes=plan.memory_bytes)
    from tunewright.lifecycle.serving.fleet import Fleet

    return Fleet(workspace, memory_bytes=plan.memory_bytes)
