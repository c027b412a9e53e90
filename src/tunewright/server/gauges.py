"""What Prometheus reads at each look: models in memory, and training, as the database tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tunewright.base.errors import TunewrightError
from tunewright.server import logs
from tunewright.server.context import Server
from tunewright.store.figures import paces, record_states, task_states


def add_gauges(server: Server) -> None:
    """Puts a server's gauges beside what its watch measures."""
    server.watch.registry.register(_Gauges(server))


class _Gauges(Collector):
    def __init__(self, server: Server) -> None:
        self._server = server

    def describe(self) -> list[Any]:
        """Nothing: a registry would else look at everything when the server starts."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges; where the database is away, that it is."""
        try:
            training = list(self._training())
        except TunewrightError as error:
            logs.warned("metrics without the database", error=error.what)
            training = []
        up = GaugeMetricFamily("tunewright_database_up", "Whether the database answered this look.")
        up.add_metric([], 1.0 if training else 0.0)
        yield up
        yield from training
        if self._server.fleet is not None:
            yield from _models(self._server.fleet.status())
        if self._server.worker is not None:
            alive = GaugeMetricFamily("tunewright_worker_up", "Whether the worker beside this server runs.")
            alive.add_metric([], float(self._server.worker.state() == "running"))
            yield alive

    def _training(self) -> Iterator[GaugeMetricFamily]:
        workspace = self._server.workspace
        jobs = GaugeMetricFamily("tunewright_jobs", "Fine-tuning jobs, by status.", labels=["status"])
        for status, count in sorted(record_states(workspace, "job").items()):
            jobs.add_metric([status], count)
        yield jobs
        tasks = GaugeMetricFamily("tunewright_tasks", "Long work, by kind and state.", labels=["kind", "state"])
        for labels, count in sorted(task_states(workspace).items()):
            tasks.add_metric(labels, count)
        yield tasks
        families = {
            name: GaugeMetricFamily(f"tunewright_training_{name}", about, labels=["run", "name"])
            for name, about in (
                ("step", "Newest step of a run that is under way."),
                ("steps", "How many steps it will have."),
                ("loss", "Loss of its newest step."),
                ("tokens_per_second", "Over its newest steps."),
            )
        }
        for pace in paces(workspace):
            labels = (pace.run, pace.name)
            values = {"step": pace.step, "steps": pace.total, "loss": pace.loss, "tokens_per_second": pace.tokens_per_s}
            for name, value in values.items():
                if value is not None:
                    families[name].add_metric(labels, value)
        yield from families.values()


def _models(status: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    """Models in memory, as `Fleet.status` tells of them."""
    limit = GaugeMetricFamily("tunewright_fleet_limit_bytes", "Most that models in memory may take.")
    if status["memory_bytes"] is not None:
        limit.add_metric([], status["memory_bytes"])
    yield limit
    of_model = {
        name: GaugeMetricFamily(f"tunewright_fleet_{name}", about, labels=["model"])
        for name, about in (
            ("bytes", "What a model takes, with caches and adapters."),
            ("answers", "Answers that it is writing."),
            ("adapters", "Adapters that it holds."),
        )
    }
    of_engine = {
        name: GaugeMetricFamily(f"tunewright_engine_{name}", about, labels=["model"])
        for name, (about, _) in _OF_ENGINE.items()
    }
    for model in status["models"]:
        values = {"bytes": model["bytes"], "answers": model["users"], "adapters": len(model["adapters"])}
        for name, value in values.items():
            of_model[name].add_metric([model["model"]], value)
        if model["engine"] is not None:
            for name, (_, value_of) in _OF_ENGINE.items():
                of_engine[name].add_metric([model["model"]], value_of(model["engine"]))
    yield from of_model.values()
    yield from of_engine.values()


# What is told of an engine, and how it follows from the fields of `EngineStatus`.
_OF_ENGINE: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
    "rows": ("Answers that are being written.", lambda engine: engine["rows"]),
    "waiting": ("Requests that wait for a place.", lambda engine: engine["waiting"]),
    "cache_bytes": ("Room for keys and values.", lambda engine: engine["pages_total"] * engine["page_bytes"]),
    "cache_used_bytes": ("That hold something, perhaps for later.", lambda e: e["pages_used"] * e["page_bytes"]),
    "cache_held_bytes": ("That are in use.", lambda engine: engine["pages_held"] * engine["page_bytes"]),
    "tokens_per_second": ("Tokens chosen, over ten seconds.", lambda engine: engine["tokens_per_s"]),
    "prompt_tokens": ("Of all prompts since the model was loaded.", lambda engine: engine["prompt_tokens"]),
    "cached_tokens": ("How many of those were not read anew.", lambda engine: engine["cached_tokens"]),
    "put_back": ("Times that an answer had to wait for memory.", lambda engine: engine["put_back"]),
}
