"""Fine-tuning jobs: their records, what may become of them, and the events that tell of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.base.files import hash_value
from tunewright.store import Workspace
from tunewright.store.queue import Wish
from tunewright.store.records import Record, new_id

JOB, EVENT, CHECKPOINT, PERMISSION = "job", "job_event", "job_checkpoint", "checkpoint_permission"
TRAINING, CHECKING = "fine_tuning", "validation"  # kinds of tasks
REINFORCEMENT = "reinforcement"
ENDED = ("succeeded", "failed", "cancelled")
OPEN = ("validating_files", "queued", "running")

Level = Literal["info", "warn", "error"]
Body = dict[str, Any]


class JobError(InputError):
    """A job that cannot be made, or of which something cannot be asked.

    Args:
        what: One sentence, without a final full stop.
        param: The field of the request that is wrong.
        code: What programs tell it by.
    """

    def __init__(self, what: str, *, param: str = "", code: str | None = None, hint: str = "") -> None:
        super().__init__(what, where=param, hint=hint)
        self.code = code


@dataclass(frozen=True)
class Asked:
    """What a client asks for.

    Args:
        model: The model's name.
        training_file: A file's id.
        validation_file: Another one's; None: nothing is validated.
        method: How to learn.
        grader: What says how much answers are worth, as the API says it; for reinforcement.
        hyperparameters: `n_epochs`, `batch_size`, `learning_rate_multiplier`, the method's own: numbers, or "auto".
        suffix: Stands in the name of what comes of it.
        seed: None: one is drawn.
        metadata: The client's own.
        integrations: Other services, which are kept with the job, and told nothing.
    """

    model: str
    training_file: str
    validation_file: str | None = None
    method: Literal["supervised", "dpo", "reinforcement"] = "supervised"
    grader: Mapping[str, Any] | None = None
    hyperparameters: Mapping[str, float | str] = field(default_factory=dict)
    suffix: str | None = None
    seed: int | None = None
    metadata: Mapping[str, str] | None = None
    integrations: list[dict[str, Any]] | None = None


def add_job(workspace: Workspace, body: Mapping[str, Any], *, project: str) -> Record:
    """Records a job, tells of it, and has its files looked at."""
    record = workspace.add_record(JOB, body, id=new_id("ftjob"), project=project)
    tell(workspace, record, "created", f"Created fine-tuning job: {record.id}")
    for integration in body.get("integrations") or []:
        kind = integration["type"]
        text = f"The integration '{kind}' is kept with the job, and is told nothing: this server asks no other service."
        tell(workspace, record, f"integration:{kind}", text, level="warn")
    tell(workspace, record, "validating", f"Validating training file: {body['training_file']}")
    workspace.enqueue(CHECKING, checking_task(record.id))
    return record


def checking_task(job: str) -> str:
    """The id of the task that looks at a job's files; the one that trains has the job's own."""
    return f"{job}/files"


def tell(
    workspace: Workspace,
    job: Record,
    mark: str,
    message: str,
    *,
    level: Level = "info",
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Adds an event to a job, once: a process that goes on with what another has done tells the same again.

    Args:
        mark: What tells the job's events apart, such as "step 12".
        data: Numbers; an event with some is one of metrics.
    Returns:
        Whether it is new.
    """
    body = {
        "level": level,
        "type": "message" if data is None else "metrics",
        "message": message,
        "data": {} if data is None else dict(data),
    }
    id = event_id(job, mark)
    if _is_there(workspace, id):
        return False
    try:
        workspace.add_record(EVENT, body, id=id, parent=job.id, project=job.project)
    except InputError:
        if not _is_there(workspace, id):
            raise
        return False  # another process has just told it
    return True


def event_id(job: Record, mark: str) -> str:
    """The id of the event that `tell` adds under a mark."""
    return f"ftevent-{hash_value([job.id, mark])[:24]}"


def _is_there(workspace: Workspace, event: str) -> bool:
    try:
        workspace.record(EVENT, event)
    except NoSuchRecordError:
        return False
    return True


def has_ended(job: Record) -> bool:
    """Whether nothing more becomes of a job."""
    return job.body["status"] in ENDED


def change(workspace: Workspace, job: str, **fields: Any) -> Record:
    """Sets fields of a job that has not ended; one that has stays as it is."""

    def changed(body: Body) -> Body:
        return body if body["status"] in ENDED else {**body, **fields}

    return workspace.change_record(JOB, job, changed)


def move(workspace: Workspace, job: str, *, to: str, out_of: tuple[str, ...]) -> bool:
    """Changes a job's status if it is one of these; says whether it was."""
    moved = False

    def changed(body: Body) -> Body:
        nonlocal moved
        moved = body["status"] in out_of
        return {**body, "status": to, "estimated_finish": None} if moved else body

    workspace.change_record(JOB, job, changed)
    return moved


def end(workspace: Workspace, job: str, status: Literal["succeeded", "failed", "cancelled"], **fields: Any) -> Record:
    """Ends a job, unless it has ended otherwise meanwhile; its record says how."""
    return change(
        workspace, job, status=status, finished_at=int(time.time()), estimated_finish=None, is_paused=False, **fields
    )


def fail(workspace: Workspace, job: Record, *, code: str, message: str, param: str | None = None) -> None:
    """Ends a job that cannot succeed, and tells why."""
    ended = end(workspace, job.id, "failed", error={"code": code, "message": message, "param": param})
    if ended.body["status"] != "failed":
        return
    cause = {"training_file": "an invalid training file", "validation_file": "an invalid validation file"}
    about = f" due to {cause[param]}" if param in cause else ""
    tell(workspace, job, "failed", f"The job failed{about}. {message}", level="error")


def cancel(workspace: Workspace, id: str, *, project: str | None = None) -> Record:
    """Cancels a job; one that runs stops within a step.

    Raises:
        NoSuchRecordError: If there is none.
        JobError: If it has succeeded or failed.
    """
    job = workspace.record(JOB, id, project=project)
    if job.body["status"] == "cancelled":
        return job
    if has_ended(job):
        raise JobError(f"The job has already {job.body['status']}, and cannot be cancelled", code="invalid_status")
    ask(workspace, id, "cancel")
    ended = end(workspace, id, "cancelled")
    if ended.body["status"] == "cancelled":
        tell(workspace, job, "cancelled", "The job was cancelled.")
        if not _is_worked_on(workspace, id):
            from tunewright.lifecycle.jobs.results import close  # which builds on this file

            close(workspace, ended)
    return ended


def pause(workspace: Workspace, id: str, *, project: str | None = None) -> Record:
    """Pauses a job: one that runs within a step, with a checkpoint.

    Raises:
        NoSuchRecordError: If there is none.
        JobError: If it has ended.
    """
    job = _open_job(workspace, id, "paused", project)
    if job.body.get("is_paused"):
        return job
    rests = int(job.body.get("rests", 0)) + 1
    paused = change(workspace, id, is_paused=True, rests=rests)
    ask(workspace, id, "pause")
    tell(workspace, job, f"pausing {rests}", "The job is asked to pause; it reports 'queued' while it rests.")
    return paused


def resume(workspace: Workspace, id: str, *, project: str | None = None) -> Record:
    """Lets a paused job go on from where it stopped.

    Raises:
        NoSuchRecordError: If there is none.
        JobError: If it has ended.
    """
    job = _open_job(workspace, id, "resumed", project)
    if not job.body.get("is_paused"):
        return job
    resumed = change(workspace, id, is_paused=False)
    ask(workspace, id, "resume")
    tell(workspace, job, f"resumed {job.body['rests']}", "The job was resumed.")
    return resumed


def ask(workspace: Workspace, id: str, wish: Wish) -> None:
    """Asks all tasks of a job that have not ended."""
    for task in (checking_task(id), id):
        with contextlib.suppress(NoSuchRecordError, InputError):  # not queued yet, or done
            workspace.ask(task, wish)


def _is_worked_on(workspace: Workspace, id: str) -> bool:
    try:
        return workspace.task(id).state == "running"
    except NoSuchRecordError:
        return False


def put_right(workspace: Workspace, tasks: Callable[[Record], None]) -> None:
    """Calls a function for each job that has not ended."""
    for status in OPEN:
        for job in workspace.each_record(JOB, where={"status": status}):
            tasks(job)


def _open_job(workspace: Workspace, id: str, what: str, project: str | None) -> Record:
    job = workspace.record(JOB, id, project=project)
    if has_ended(job):
        raise JobError(f"The job has {job.body['status']}, and cannot be {what}", code="invalid_status")
    return job
