"""What Prometheus sees of models in memory and of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from tunewright.base.events import Metrics
from tunewright.server.context import Server
from tunewright.server.gauges import add_gauges


class Models:
    def status(self) -> dict[str, Any]:
        engine = {"rows": 2, "waiting": 3, "pages_total": 8, "pages_used": 4, "pages_held": 1, "page_bytes": 10}
        engine |= {"tokens_per_s": 1.5, "prompt_tokens": 90, "cached_tokens": 30, "put_back": 0}
        held = {"model": "tiny", "bytes": 70, "users": 2, "adapters": ["a", "b"], "engine": engine}
        classes = {"model": "classes", "bytes": 5, "users": 0, "adapters": [], "engine": None}
        return {"memory_bytes": 100, "used_bytes": 75, "models": [held, classes]}


def test_models_jobs_and_training_are_seen(server_with: Callable[..., Server]) -> None:
    server = server_with()
    server.fleet = Models()
    add_gauges(server)
    value = server.watch.registry.get_sample_value
    workspace = server.workspace
    workspace.add_record("job", {"status": "running"}, id="job-1")
    workspace.enqueue("fine_tuning", "job-1")
    run = workspace.start_run("desk", "run", {})
    labels = {"run": run.id, "name": "desk"}
    with run.lock():
        run.emit(Metrics("train", 12, 40, {"loss": 0.5, "tokens": 10.0}))
        run.flush()
        assert value("tunewright_training_step", labels) == 12
        assert value("tunewright_training_steps", labels) == 40
        assert value("tunewright_training_loss", labels) == 0.5
        assert value("tunewright_training_tokens_per_second", labels) is None  # there is but one step
    run.finish("succeeded")
    assert value("tunewright_training_step", labels) is None
    assert value("tunewright_jobs", {"status": "running"}) == 1
    assert value("tunewright_tasks", {"kind": "fine_tuning", "state": "queued"}) == 1
    assert value("tunewright_database_up") == 1
    assert value("tunewright_fleet_limit_bytes") == 100
    assert value("tunewright_fleet_bytes", {"model": "tiny"}) == 70
    assert value("tunewright_fleet_answers", {"model": "tiny"}) == 2
    assert value("tunewright_fleet_adapters", {"model": "tiny"}) == 2
    assert value("tunewright_engine_waiting", {"model": "tiny"}) == 3
    assert value("tunewright_engine_cache_bytes", {"model": "tiny"}) == 80
    assert value("tunewright_engine_cache_used_bytes", {"model": "tiny"}) == 40
    assert value("tunewright_engine_cached_tokens", {"model": "tiny"}) == 30
    assert value("tunewright_engine_rows", {"model": "classes"}) is None


def test_without_its_database_a_server_says_so(server_with: Callable[..., Server]) -> None:
    server = server_with()
    add_gauges(server)
    with server.workspace.database.write() as connection:
        connection.execute(text("DROP TABLE tasks"))
    assert server.watch.registry.get_sample_value("tunewright_database_up") == 0
