"""Looks at a job's files, and queues the job: a bad file makes a job that fails, not a request that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.base.errors import InputError
from tunewright.evaluate.graders import parse_grader
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.checking import Checked, FileError, Param, check_file
from tunewright.lifecycle.jobs.jobs import CHECKING, JOB, TRAINING, JobError, checking_task
from tunewright.lifecycle.jobs.ordering import lay_out, predicted_bytes, resolved

if TYPE_CHECKING:
    from pathlib import Path

    from tunewright.lifecycle.jobs.desk import Desk
    from tunewright.store import Workspace
    from tunewright.store.queue import Task
    from tunewright.store.records import Record

LIGHT = True
_PARAMS: tuple[Param, ...] = ("training_file", "validation_file")


def handle(task: Task, desk: Desk) -> None:
    """Looks at the files of the job that the task is named after."""
    job = desk.workspace.record(JOB, task.id.partition("/")[0])
    if jobs.has_ended(job):
        return
    try:
        folder = lay_out(desk.workspace, job)
        checked = _check(job, folder, desk)
        _queue(desk.workspace, job, checked)
    except FileError as fault:
        jobs.fail(desk.workspace, job, code=fault.code, message=fault.message, param=fault.param)
    except JobError as fault:
        jobs.fail(
            desk.workspace, job, code=fault.code or "invalid_request", message=f"{fault.what}.", param=fault.where
        )
    except InputError as fault:
        message = f"{fault.what}. {fault.hint}".strip()
        jobs.fail(desk.workspace, job, code="invalid_model", message=message, param="model")


def give_up(task: Task, desk: Desk, why: str) -> None:
    """Marks the job as failed."""
    job = desk.workspace.record(JOB, task.id.partition("/")[0])
    jobs.fail(desk.workspace, job, code="server_error", message=why)


def recover(workspace: Workspace) -> None:
    """Queues jobs that were recorded and not queued; `enqueue` leaves alone what is in the queue."""

    def queue(job: Record) -> None:
        if job.body["status"] == "validating_files":
            workspace.enqueue(CHECKING, checking_task(job.id))

    jobs.put_right(workspace, queue)


def _check(job: Record, folder: Path, desk: Desk) -> Checked:
    """What is in the training file; the validation file is looked at, too."""
    method = job.body["method"]["type"]
    raw = job.body["method"][method].get("grader")
    grader = parse_grader(raw) if raw else None
    found = {}
    for param in _PARAMS:
        desk.check()
        if job.body[param]:
            found[param] = check_file(folder / param.replace("_file", ".jsonl"), method, param, grader)
    return found["training_file"]


def _queue(workspace: Workspace, job: Record, checked: Checked) -> None:
    from tunewright.models.resolve import resolve

    files = resolve(job.body["base"], workspace.cache)
    known = jobs.change(workspace, job.id, **resolved(job.body, checked))
    memory_bytes = predicted_bytes(workspace, known, files, checked)
    jobs.tell(workspace, job, "queued", "Files validated, moving job to queued state")
    jobs.move(workspace, job.id, to="queued", out_of=("validating_files",))
    if not jobs.has_ended(workspace.record(JOB, job.id)):
        workspace.enqueue(TRAINING, job.id, memory_bytes=memory_bytes)
        if workspace.record(JOB, job.id).body.get("is_paused"):  # since before there was a task to pause
            workspace.ask(job.id, "pause")
