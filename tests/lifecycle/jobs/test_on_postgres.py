"""Jobs of several workers that share a PostgreSQL: restarts of it and killed workers end none of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lifecycle.jobs.made import chat_rows, fresh, made_workspace, ordered, told, uploaded
from tests.store.postgres import Postgres, new_schema
from tests.store.processes import ended, program
from tunewright.lifecycle.serving.names import MODEL
from tunewright.store import Workspace

pytestmark = pytest.mark.postgres

WORK = """
import sys
from tunewright.lifecycle.jobs.worker import is_idle, work
from tunewright.store import Workspace

work(Workspace.open(sys.argv[1]), lease_s=3.0, until=is_idle, listener=lambda said: print(said, flush=True))
"""


@pytest.fixture
def server() -> Iterator[Postgres]:
    made = Postgres()
    try:
        made.start()
        yield made
    finally:
        made.remove()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def steps(workspace: Workspace, job: str) -> list[int]:
    """The steps that a job has told of, in order."""
    events = told(workspace, workspace.record("job", job))
    return [event["data"]["step"] for event in events if event["type"] == "metrics"]


def test_jobs_outlast_restarts_of_their_database_and_killed_workers(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_schema(server.url)
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", url)
    workspace = made_workspace(tmp_path)
    longer = {"n_epochs": 30, "batch_size": 2}
    jobs = [ordered(workspace, uploaded(workspace, chat_rows(12)), hyperparameters=longer) for _ in range(2)]
    workers = [program(WORK, workspace.root, TUNEWRIGHT_DATABASE_URL=url) for _ in range(2)]
    wait_until(lambda: all(steps(workspace, job.id) for job in jobs))
    server.stop()
    time.sleep(1.0)
    server.start()
    killed, spared = workers
    killed.kill()
    killed.communicate()
    assert "running" in {fresh(workspace, job)["status"] for job in jobs}
    for worker in (spared, program(WORK, workspace.root)):
        ended(worker, timeout_s=300)
    adapters = []
    for job in jobs:
        body = fresh(workspace, job)
        assert (body["status"], body["error"]) == ("succeeded", None)
        found = steps(workspace, job.id)
        assert found == sorted(set(found))
        adapters.append(workspace.record(MODEL, body["fine_tuned_model"]).body["adapter"])
    # The same rows and seed: whatever befell them, both have learned the same.
    assert adapters[0] == adapters[1]
