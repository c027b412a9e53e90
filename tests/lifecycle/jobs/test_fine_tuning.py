"""A job from its order to its model: what it tells, what it keeps, and how it goes on after a rest."""

from __future__ import annotations

import base64
import csv
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.jobs.conftest import Done
from tests.lifecycle.jobs.made import (
    LEARNED,
    MODEL,
    adapter_of,
    chat_rows,
    fresh,
    made_workspace,
    ordered,
    pair_rows,
    steps_told,
    told,
    uploaded,
    work_off,
)
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.desk import Desk, Later, Reason, Setup, Stopped, handle
from tunewright.lifecycle.jobs.jobs import CHECKPOINT
from tunewright.lifecycle.jobs.results import run_of
from tunewright.lifecycle.serving.names import UnknownModelError, find_served
from tunewright.store import Workspace, database
from tunewright.store.queue import Claims, Task
from tunewright.store.records import Record
from tunewright.store.uploads import find_upload, open_upload


def test_a_job_succeeds_and_says_what_came_of_it(done: Done) -> None:
    body = done.job.body
    assert body["status"] == "succeeded"
    assert body["error"] is None
    assert body["fine_tuned_model"] == f"ft:{MODEL}:acme:desk:{done.job.id[-8:]}"
    assert body["finished_at"] >= done.job.created_at
    assert body["estimated_finish"] is None
    assert body["hyperparameters"] == {**LEARNED, "learning_rate_multiplier": 1.0}
    # A token a byte, six markers, and 40 bytes of roles, line breaks and system message: 46 and the two texts.
    rows = [row["messages"] for row in chat_rows(30)]
    assert body["trained_tokens"] == 4 * sum(46 + len(row[1]["content"]) + len(row[2]["content"]) for row in rows)


def test_its_events_tell_the_story_in_order(done: Done) -> None:
    events = told(done.workspace, done.job)
    messages = [event["message"] for event in events if event["type"] == "message"]
    assert messages[:4] == [
        f"Created fine-tuning job: {done.job.id}",
        f"Validating training file: {done.job.body['training_file']}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
    ]
    assert messages[-2:] == ["New fine-tuned model created", "The job has successfully completed"]
    assert [text for text in messages if "Checkpoint" in text] == [
        f"Checkpoint created at step {n}" for n in (8, 12, 15)
    ]
    assert {event["level"] for event in events} == {"info"}
    assert steps_told(done.workspace, done.job) == list(range(1, 16))


def test_metrics_have_every_number_and_a_sentence(done: Done) -> None:
    metrics = {e["data"]["step"]: e for e in told(done.workspace, done.job) if e["type"] == "metrics"}
    assert {event["data"]["total_steps"] for event in metrics.values()} == {15}
    last = metrics[15]["data"]
    assert last["full_valid_loss"] == last["valid_loss"] > 0
    assert 0 <= last["train_mean_token_accuracy"] <= 1
    assert 0 <= last["valid_mean_token_accuracy"] <= 1
    assert last["train_loss"] < metrics[1]["data"]["train_loss"]
    assert metrics[8]["message"] == (
        f"Step 8/15: training loss={metrics[8]['data']['train_loss']:.2f}, "
        f"validation loss={metrics[8]['data']['valid_loss']:.2f}, "
        f"full validation loss={metrics[8]['data']['full_valid_loss']:.2f}"
    )
    # In the middle of an epoch: looked at, and not as its end.
    assert metrics[9]["data"]["full_valid_loss"] is None
    assert metrics[9]["data"]["valid_loss"] is not None


def test_the_last_epochs_are_kept_and_served(done: Done) -> None:
    kept = list(done.workspace.each_record(CHECKPOINT, parent=done.job.id))
    assert [each.body["step_number"] for each in kept] == [8, 12, 15]
    names = [each.body["fine_tuned_model_checkpoint"] for each in kept]
    assert names == [f"{done.job.body['fine_tuned_model']}:ckpt-step-{step}" for step in (8, 12, 15)]
    adapters = [find_served(done.workspace, name).adapter for name in names]
    assert len(set(adapters)) == 3
    assert adapters[-1] == adapter_of(done.workspace, done.job)
    assert kept[0].body["metrics"]["full_valid_loss"] > 0
    served = find_served(done.workspace, done.job.body["fine_tuned_model"])
    assert (served.parent, served.job, served.owned_by) == (MODEL, done.job.id, "acme")
    # What clients send is asked, and not what stood in the training rows.
    assert (served.template["system"], served.template["tools"]) == ("", [])


def test_the_file_of_figures_has_a_line_for_each_step(done: Done) -> None:
    (id,) = done.job.body["result_files"]
    record = find_upload(done.workspace, id)
    assert record.body["purpose"] == "fine-tune-results"
    table = base64.b64decode(open_upload(done.workspace, record).read_bytes()).decode()
    rows = list(csv.DictReader(table.splitlines()))
    assert list(rows[0]) == ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"]
    assert [int(row["step"]) for row in rows] == list(range(1, 16))
    events = [event["data"] for event in told(done.workspace, done.job) if event["type"] == "metrics"]
    assert [float(row["train_loss"]) for row in rows] == [event["train_loss"] for event in events]


def test_no_row_is_held_out(done: Done) -> None:
    run = run_of(done.workspace, done.job)
    assert run is not None
    assert run.status == "succeeded"
    assert run.manifest["stages"]["preflight"]["preflight"]["examples"] == 36
    # Nothing is left of what the job was laid out from; the dataset is an artifact.
    assert not (done.workspace.root / "jobs" / done.job.id).exists()


def test_a_job_that_ended_is_left_alone(done: Done) -> None:
    before = told(done.workspace, done.job)
    done.workspace.enqueue("fine_tuning", done.job.id)
    work_off(done.workspace)
    assert told(done.workspace, done.job) == before


def begun(done: Done, **changes: Any) -> tuple[Record, Claims, Task]:
    """A job of the same rows, looked at and claimed."""
    workspace = done.workspace
    files = [uploaded(workspace, rows) for rows in (chat_rows(30), chat_rows(6, 100))]
    asked = {"validation_file": files[1], "suffix": "desk", "hyperparameters": LEARNED} | changes
    job = ordered(workspace, files[0], **asked)
    claims = Claims(workspace, "test")
    task = claims.claim(["validation"])
    assert task
    handle(task, Desk(workspace))
    claims.finish(task)
    task = claims.claim(["fine_tuning"])
    assert task
    return job, claims, task


def stopping(workspace: Workspace, job: Record, step: int, reason: Reason) -> Callable[[], Reason | None]:
    """Asks to stop as soon as a step is told."""
    return lambda: reason if any(each >= step for each in steps_told(workspace, job)) else None


def test_a_paused_job_reports_queued_and_goes_on_to_the_same_adapter(done: Done) -> None:
    workspace = done.workspace
    job, claims, task = begun(done)
    jobs.pause(workspace, job.id)
    assert workspace.task(job.id).wanted == "pause"
    desk = Desk(workspace, Setup(checkpoint_every_s=0.001), stopping(workspace, job, 6, "pause"))
    with pytest.raises(Stopped):
        handle(task, desk)
    assert claims.give_back(task).state == "paused"
    assert fresh(workspace, job)["status"] == "queued"
    assert told(workspace, job)[-1]["message"].startswith("The job is paused")
    jobs.resume(workspace, job.id)
    work_off(workspace)
    assert fresh(workspace, job)["status"] == "succeeded"
    assert steps_told(workspace, job) == list(range(1, 16))
    assert any("Resumed after step" in event["message"] for event in told(workspace, job))
    assert adapter_of(workspace, job) == adapter_of(workspace, done.job)


def test_a_cancelled_job_leaves_no_model_and_no_checkpoint(done: Done) -> None:
    workspace = done.workspace
    job, claims, task = begun(done)
    assert jobs.cancel(workspace, job.id).body["status"] == "cancelled"
    assert workspace.task(job.id).wanted == "cancel"
    desk = Desk(workspace, Setup(checkpoint_every_s=0.001), stopping(workspace, job, 2, "cancel"))
    handle(task, desk)  # it had not begun: nothing is
    claims.finish(task)
    assert steps_told(workspace, job) == []
    with pytest.raises(UnknownModelError):
        find_served(workspace, f"ft:{MODEL}:acme:desk:{job.id[-8:]}")
    job, claims, task = begun(done)
    desk = Desk(workspace, Setup(checkpoint_every_s=0.001), stopping(workspace, job, 2, "cancel"))
    with pytest.raises(Stopped):
        handle(task, desk)
    claims.finish(task)
    run = run_of(workspace, job)
    assert run is not None
    assert run.status == "cancelled"
    assert not (run.folder / "checkpoints").exists()
    assert fresh(workspace, job)["status"] == "cancelled"


def test_preferences_are_learned(done: Done) -> None:
    workspace = done.workspace
    job = ordered(
        workspace, uploaded(workspace, pair_rows(10)), method="dpo", hyperparameters={"n_epochs": 1, "batch_size": 10}
    )
    work_off(workspace)
    body = fresh(workspace, job)
    assert (body["status"], body["error"]) == ("succeeded", None)
    assert body["method"]["dpo"]["hyperparameters"]["beta"] == 0.1
    first = next(event["data"] for event in told(workspace, job) if event["type"] == "metrics")
    # At its start the policy is its reference: -log sigmoid(0).
    assert first["train_loss"] == pytest.approx(0.6931, abs=1e-4)
    assert first["train_mean_token_accuracy"] is None


def test_a_bad_file_fails_the_job_and_not_the_request(done: Done) -> None:
    workspace = done.workspace
    job = ordered(workspace, uploaded(workspace, chat_rows(7)))
    assert job.body["status"] == "validating_files"
    work_off(workspace)
    body = fresh(workspace, job)
    message = "Training file has 7 example(s), but must have at least 10 examples"
    assert body["status"] == "failed"
    assert body["error"] == {"code": "invalid_n_examples", "message": message, "param": "training_file"}
    last = told(workspace, job)[-1]
    assert (last["level"], last["message"]) == ("error", f"The job failed due to an invalid training file. {message}")


def test_a_job_whose_rows_learn_nothing_says_so(done: Done) -> None:
    workspace = done.workspace
    long = [{"messages": [{"role": "user", "content": "x" * 3000}, {"role": "assistant", "content": "y"}]}] * 10
    job = ordered(workspace, uploaded(workspace, [*chat_rows(10), *long]))
    work_off(workspace)
    body = fresh(workspace, job)
    assert (body["status"], body["error"]["code"]) == ("failed", "data")
    assert "10" in body["error"]["message"]


def test_a_locked_database_is_said_and_the_job_goes_on_later(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    workspace = made_workspace(tmp_path)
    job = ordered(workspace, uploaded(workspace, chat_rows(10)), hyperparameters={"n_epochs": 1, "batch_size": 10})
    claims = Claims(workspace, "test")
    check = claims.claim(["validation"])
    assert check
    handle(check, Desk(workspace))
    task = claims.claim(["fine_tuning"])
    assert task
    other = Workspace.open(workspace.root).database.engine.raw_connection()
    other.cursor().execute("BEGIN IMMEDIATE")
    with pytest.raises(Later, match="locked"):
        handle(task, Desk(workspace))
    other.cursor().execute("ROLLBACK")
    other.close()
    assert fresh(workspace, job)["status"] == "queued"
    handle(task, Desk(workspace))
    assert fresh(workspace, job)["status"] == "succeeded"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB; skips where it may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only the superuser can mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_and_the_job_goes_on_when_there_is_room(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / "cache"))
    workspace = made_workspace(disk)
    job = ordered(workspace, uploaded(workspace, chat_rows(10)), hyperparameters={"n_epochs": 1, "batch_size": 10})
    claims = Claims(workspace, "test")
    check = claims.claim(["validation"])
    assert check
    handle(check, Desk(workspace))
    task = claims.claim(["fine_tuning"])
    assert task
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        file.write(b"\0" * max(0, shutil.disk_usage(disk).free - 100_000))
    with pytest.raises(Later, match=r"[Nn]o space"):
        handle(task, Desk(workspace))
    ballast.unlink()
    assert fresh(workspace, job)["status"] in ("queued", "running")
    handle(task, Desk(workspace))
    assert fresh(workspace, job)["status"] == "succeeded"
    messages = [event["message"] for event in told(workspace, job)]
    assert len(messages) == len(set(messages))


@pytest.mark.parametrize("method", ["supervised", "dpo"])
def test_a_fine_tuned_model_learns_on(done: Done, method: Any) -> None:
    workspace, before = done.workspace, adapter_of(done.workspace, done.job)
    model = done.job.body["fine_tuned_model"]
    rows = chat_rows(10) if method == "supervised" else pair_rows(10)
    values = {"n_epochs": 1, "batch_size": 5}
    job = ordered(workspace, uploaded(workspace, rows), model=model, method=method, hyperparameters=values)
    assert job.body["model"] == model
    work_off(workspace)
    body = fresh(workspace, job)
    assert (body["status"], body["error"]) == ("succeeded", None)
    assert body["fine_tuned_model"] == f"ft:{MODEL}:acme::{job.id[-8:]}", "named after the first of them"
    made = workspace.artifact(adapter_of(workspace, job), "adapter")
    assert made.hash != before
    assert before in {parent.hash for parent in workspace.lineage(made.hash).parents}
    # It begins where the first job ended; pairs are held against that, so their loss begins at log 2.
    first, last = losses(workspace, done.job)[0], losses(workspace, done.job)[-1]
    assert last < 0.8 * first
    expected = last if method == "supervised" else math.log(2)
    assert losses(workspace, job)[0] == pytest.approx(expected, rel=0.1 if method == "supervised" else 1e-5)


def losses(workspace: Workspace, job: Record) -> list[float]:
    """A job's losses, step by step."""
    return [event["data"]["train_loss"] for event in told(workspace, job) if event["type"] == "metrics"]
