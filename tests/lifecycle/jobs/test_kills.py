"""Workers and their processes are killed at any instant, and jobs end as if nothing had been."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tests.lifecycle.jobs.child import work_on
from tests.lifecycle.jobs.conftest import Done
from tests.lifecycle.jobs.made import (
    LEARNED,
    adapter_of,
    chat_rows,
    fresh,
    made_workspace,
    ordered,
    steps_told,
    told,
    uploaded,
)
from tunewright.lifecycle.jobs import worker as workers
from tunewright.lifecycle.jobs.desk import Setup
from tunewright.lifecycle.jobs.worker import Worker
from tunewright.store import Workspace
from tunewright.store.queue import Task
from tunewright.store.records import Record
from tunewright.store.uploads import find_upload, open_upload

SETUP = Setup(checkpoint_every_s=0.001)

# Forked off a process that has imported everything, and computed nothing: importing takes seconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.lifecycle.jobs.child"])


class Child:
    """A process that works on a task as the worker's own do; it begins with its libraries imported."""

    made: ClassVar[list[Child]] = []

    def __init__(self, task: Task, workspace: Workspace, setup: Setup) -> None:
        self._process = CONTEXT.Process(target=work_on, args=(task.id, str(workspace.root), setup.as_text()))
        self._process.start()
        self.made.append(self)

    def ended(self) -> int | None:
        return self._process.exitcode

    def stop(self, reason: str) -> None:
        raise AssertionError(f"Nobody asked for that: {reason}")

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def check_whole(workspace: Workspace, job: Record, adapter: str) -> None:
    """The job has ended well, with nothing lost and nothing twice."""
    body = fresh(workspace, job)
    assert (body["status"], body["error"]) == ("succeeded", None)
    assert adapter_of(workspace, job) == adapter
    steps = steps_told(workspace, job)
    assert steps == list(range(1, len(steps) + 1))
    messages = [event["message"] for event in told(workspace, job)]
    # A process whose worker was killed may still say so, each time anew.
    once = [text for text in messages if not text.startswith("The worker has stopped")]
    assert len(once) == len(set(once))
    order = [messages.index(text) for text in ("Fine-tuning job started", "New fine-tuned model created")]
    assert order[0] < next(at for at, text in enumerate(messages) if text.startswith("Step 1/")) < order[1]
    assert messages[-1] == "The job has successfully completed"
    for file in (body["training_file"], *body["result_files"]):
        open_upload(workspace, find_upload(workspace, file))
    names = [record.body["filename"] for record in workspace.records("file").records]
    assert names.count(f"step_metrics_{job.id}.csv") == 1


def until(worker: Worker, reached: Callable[[], bool]) -> None:
    limit = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < limit
        worker.step()
        time.sleep(0.01)


def test_three_kills_change_nothing(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, hands = done.workspace, Child.made
    monkeypatch.setattr(workers, "ProcessHand", Child)
    files = [uploaded(workspace, rows) for rows in (chat_rows(30), chat_rows(6, 100))]
    job = ordered(workspace, files[0], validation_file=files[1], suffix="desk", hyperparameters=LEARNED)
    worker = Worker(workspace, setup=SETUP, lease_s=1.0)
    try:
        until(worker, lambda: len(steps_told(workspace, job)) >= 3)
        hands[0].kill()  # the process: its worker starts it again
        until(worker, lambda: len(steps_told(workspace, job)) >= 7)
        hands[1].kill()  # and the worker with it: another one takes over once the lease is over
        worker = Worker(workspace, setup=SETUP, lease_s=1.0)
        until(worker, lambda: len(hands) > 2 and len(steps_told(workspace, job)) >= 11)
        hands[2].kill()
        until(worker, lambda: not worker.has_work())
    finally:
        for hand in hands:
            hand.kill()
    assert len(hands) == 4
    check_whole(workspace, job, adapter_of(workspace, done.job))


@pytest.mark.long
def test_twenty_kills_at_random_instants_change_nothing(tmp_path: Path) -> None:
    """Of the worker, of the job's process, or of both: real ones, while the job is anywhere between order and end."""
    workspace = made_workspace(tmp_path)
    files = [uploaded(workspace, rows) for rows in (chat_rows(120), chat_rows(6, 200))]
    asked = {"validation_file": files[1], "suffix": "desk", "hyperparameters": {"n_epochs": 16, "batch_size": 4}}
    undisturbed, disturbed = (ordered(workspace, files[0], **asked) for _ in range(2))
    workspace.ask(f"{disturbed.id}/files", "pause")
    run = [sys.executable, "-m", "tunewright", "worker", "--workspace", str(workspace.root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*run, "--until-idle"], env=environment, check=True, capture_output=True)
    workspace.ask(f"{disturbed.id}/files", "resume")
    drawn = random.Random(3)
    kills = 0
    run += ["--checkpoint-every", "0.05", "--lease", "2"]
    worker = subprocess.Popen(run, env=environment, stderr=subprocess.DEVNULL)
    try:
        while fresh(workspace, disturbed)["status"] not in ("succeeded", "failed"):
            if kills < 20:
                await_instant(workspace, disturbed, drawn)
                kill(worker, drawn.choice(["worker", "process", "both"]))
                kills += 1
            else:
                time.sleep(0.5)
            if worker.poll() is not None:
                worker = subprocess.Popen(run, env=environment, stderr=subprocess.DEVNULL)
        assert kills == 20
    finally:
        kill(worker, "both")
    check_whole(workspace, disturbed, adapter_of(workspace, undisturbed))


def await_instant(workspace: Workspace, job: Record, drawn: random.Random) -> None:
    """Waits a few seconds, or for a few more steps: so kills fall into starts, into training, and between them."""
    if drawn.random() < 0.4:
        time.sleep(drawn.uniform(0.0, 6.0))
        return
    limit, wanted = time.monotonic() + 60, len(steps_told(workspace, job)) + drawn.randint(1, 30)
    while len(steps_told(workspace, job)) < wanted and time.monotonic() < limit:
        time.sleep(0.02)


def kill(worker: subprocess.Popen[bytes], which: str) -> None:
    """Kills a worker, what it has started, or both."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(worker.pid).children(recursive=True)
        for child in children if which != "worker" else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if which != "process":
        worker.kill()
        worker.wait()
