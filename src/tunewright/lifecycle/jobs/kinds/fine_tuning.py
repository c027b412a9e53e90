"""Trains a job: a run like those of `tunewright train`, begun, or taken up where an earlier process left it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tunewright.base.errors import DatabaseAwayError, DiskFullError, RunLockedError, TunewrightError
from tunewright.lifecycle.faults import known
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.desk import Later, Reason, Stopped, reason_of
from tunewright.lifecycle.jobs.hearing import Hearer, Steps
from tunewright.lifecycle.jobs.jobs import CHECKING, EVENT, JOB, TRAINING, JobError, checking_task
from tunewright.lifecycle.jobs.ordering import lay_out, recipe_of
from tunewright.lifecycle.jobs.results import RUN_KIND, Results, close, run_of
from tunewright.lifecycle.means import Means
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.lifecycle.jobs.desk import Desk
    from tunewright.store import Workspace
    from tunewright.store.queue import Task
    from tunewright.store.records import Record


def handle(task: Task, desk: Desk) -> None:
    """Trains the job that the task is named after."""
    job = desk.workspace.record(JOB, task.id)
    if jobs.has_ended(job):
        close(desk.workspace, job)
        return
    try:
        desk.check()
        _work(job, desk)
    except KeyboardInterrupt as error:
        reason = error.reason if isinstance(error, Stopped) else desk.asked() or reason_of(desk.workspace.task(task.id))
        _rest(desk.workspace, job, reason, task)
        raise Stopped(reason) from error
    except RunLockedError as error:
        raise Later(f"{job.id}: {error.what}; this worker tries again.") from error
    except Exception as error:
        ours = known(error)
        if isinstance(ours, DiskFullError | DatabaseAwayError):
            raise _later(desk.workspace, job, ours, task) from error
        code, message = _fault(ours)
        jobs.fail(desk.workspace, job, code=code, message=message)
        if ours is None:
            raise  # a bug: the log has its traceback, and the client does not


def give_up(task: Task, desk: Desk, why: str) -> None:
    """Marks the job as failed."""
    jobs.fail(desk.workspace, desk.workspace.record(JOB, task.id), code="server_error", message=why)


def come_so_far(task: Task, workspace: Workspace) -> object:
    """The job's newest event of metrics."""
    newest = workspace.records(EVENT, parent=task.id, where={"type": "metrics"}, limit=1).records
    return [event.id for event in newest]


def recover(workspace: Workspace) -> None:
    """Queues jobs whose task was not queued, and ends those whose task was cancelled before they were."""

    def put_right(job: Record) -> None:
        tasks = {task.id: task for task in workspace.tasks((CHECKING, TRAINING)) if task.id.partition("/")[0] == job.id}
        if any(task.wanted == "cancel" and task.state == "done" for task in tasks.values()):
            jobs.end(workspace, job.id, "cancelled")
        elif job.body["status"] in ("queued", "running") and job.id not in tasks:
            workspace.enqueue(CHECKING, checking_task(job.id))

    jobs.put_right(workspace, put_right)


def _work(job: Record, desk: Desk) -> None:
    from tunewright.lifecycle.job import start
    from tunewright.lifecycle.preparing import preflight
    from tunewright.lifecycle.training import train

    workspace = desk.workspace
    if jobs.move(workspace, job.id, to="running", out_of=("queued",)):
        jobs.tell(workspace, job, "started", "Fine-tuning job started")
    begun = run_of(workspace, job)
    recipe = Recipe.model_validate(begun.recipe) if begun else _first_recipe(job, desk)
    hearer = Hearer(workspace, job, desk.check, lambda: Steps.of(opened))
    with start(
        recipe,
        workspace=workspace,
        listener=hearer,
        resume=begun.id if begun else None,
        kind=RUN_KIND,
        means=Means(job.project, desk.setup.python_graders, desk.setup.memory_bytes),
    ) as opened:
        jobs.change(workspace, job.id, run=opened.run.id)
        results = Results(job, opened)
        hearer.moved = results.collect
        for warning in preflight(opened).warnings:
            jobs.tell(workspace, job, f"said {warning}", warning, level="warn")
        adapter = train(opened)
        made = results.finish(adapter.stored.hash)
    tokens = adapter.curves.get("tokens")
    ended = jobs.end(workspace, job.id, "succeeded", trained_tokens=tokens, **made)
    close(workspace, ended)


def _rest(workspace: Workspace, job: Record, reason: Reason, task: Task) -> None:
    """Marks a job that does not go on for now."""
    if reason == "cancel":
        close(workspace, jobs.end(workspace, job.id, "cancelled"))
        return
    jobs.move(workspace, job.id, to="queued", out_of=("running",))
    if reason == "pause":
        text = "The job is paused; it reports 'queued' until it is resumed."
        jobs.tell(workspace, job, f"paused {workspace.record(JOB, job.id).body.get('rests')}", text)
    else:
        text = "The worker has stopped; the job goes on from its last checkpoint as soon as one takes it."
        jobs.tell(workspace, job, f"left {task.claim}", text)


def _later(workspace: Workspace, job: Record, fault: TunewrightError, task: Task) -> Later:
    """Says why a job does not go on for now: in an event, should there be room for one."""
    why = f"{fault.what}. The job goes on from its last checkpoint, once that is put right."
    with contextlib.suppress(TunewrightError):  # the same fault again; the worker says it in its log
        jobs.move(workspace, job.id, to="queued", out_of=("running",))
        jobs.tell(workspace, job, f"later {task.claim}", why, level="warn")
    return Later(f"{job.id}: {fault}")


def _fault(fault: TunewrightError | None) -> tuple[str, str]:
    """Code and message of a job that failed."""
    if fault is None:
        return "server_error", "Something went wrong inside the server; its log says what."
    code = fault.code if isinstance(fault, JobError) and fault.code else type(fault).__name__.removesuffix("Error")
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in code).lstrip("_")
    return words, f"{fault.what}. {fault.hint}".strip()


def _first_recipe(job: Record, desk: Desk) -> Recipe:
    from tunewright.models.resolve import resolve

    workspace = desk.workspace
    files = resolve(job.body["base"], workspace.cache)
    folder = lay_out(workspace, job)
    return recipe_of(workspace, job, files, folder, checkpoint_every_s=desk.setup.checkpoint_every_s)
