"""Fine-tuning jobs, their events and checkpoints, and who may ask a checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from tunewright.base.errors import NoSuchRecordError
from tunewright.evaluate.graders import check_allowed, parse_grader
from tunewright.lifecycle.jobs import jobs, permissions
from tunewright.lifecycle.jobs.jobs import CHECKPOINT, EVENT, JOB, REINFORCEMENT, Asked, JobError
from tunewright.server.context import Admin, Here, Reader, Trainer
from tunewright.server.errors import ApiError, not_found
from tunewright.server.paging import Wanted, listing, paging
from tunewright.server.wire.fine_tuning import CreateJob, CreatePermissions
from tunewright.store.records import Page, Record

router = APIRouter(prefix="/v1/fine_tuning", tags=["fine-tuning"])

Many = Annotated[Wanted, Depends(paging(most=1000))]


@router.post("/jobs")
def create(here: Here, caller: Trainer, wanted: CreateJob) -> dict[str, Any]:
    """Make a job: its files are looked at, then it waits for a worker."""
    from tunewright.lifecycle.jobs.ordering import order

    with _refusals():
        asked = _asked(wanted, runs_python=here.settings.python_graders)
        made = order(here.workspace, asked, organization=caller.organization, project=caller.project)
    return _job(made)


@router.get("/jobs")
def list_jobs(here: Here, caller: Reader, request: Request, wanted: Many) -> dict[str, Any]:
    """List jobs, the newest first; `metadata[key]=value` leaves out those without it."""
    where: dict[str, str | None] = {}
    for name, value in request.query_params.items():
        if name == "metadata" and value == "null":
            where["metadata"] = None
        elif name.startswith("metadata[") and name.endswith("]"):
            where[f"metadata.{name[len('metadata[') : -1]}"] = value
    return listing(_page(here, JOB, wanted, project=caller.project, where=where), _job)


@router.get("/jobs/{job}")
def retrieve(here: Here, caller: Reader, job: str) -> dict[str, Any]:
    """Show a job."""
    return _job(_find(here, caller.project, job))


@router.post("/jobs/{job}/cancel")
def cancel(here: Here, caller: Trainer, job: str) -> dict[str, Any]:
    """Cancel a job; one that runs stops within a step."""
    return _change(here, caller.project, job, jobs.cancel)


@router.post("/jobs/{job}/pause")
def pause(here: Here, caller: Trainer, job: str) -> dict[str, Any]:
    """Pause a job, which reports `queued` meanwhile, and says in an event that it rests."""
    return _change(here, caller.project, job, jobs.pause)


@router.post("/jobs/{job}/resume")
def resume(here: Here, caller: Trainer, job: str) -> dict[str, Any]:
    """Let a paused job go on from where it stopped."""
    return _change(here, caller.project, job, jobs.resume)


@router.get("/jobs/{job}/events")
def list_events(here: Here, caller: Reader, job: str, wanted: Many) -> dict[str, Any]:
    """List what has happened to a job, the newest first."""
    _find(here, caller.project, job)
    return listing(_page(here, EVENT, wanted, parent=job), _event)


@router.get("/jobs/{job}/checkpoints")
def list_checkpoints(here: Here, caller: Reader, job: str, wanted: Many) -> dict[str, Any]:
    """List the models that a job has kept of its last epochs' ends, the newest first."""
    _find(here, caller.project, job)
    return listing(_page(here, CHECKPOINT, wanted, parent=job), _checkpoint)


@router.post("/checkpoints/{model:path}/permissions")
def permit(here: Here, caller: Admin, model: str, wanted: CreatePermissions) -> dict[str, Any]:
    """Let other projects ask a checkpoint."""
    with _missing(model):
        made = permissions.permit(here.workspace, model, wanted.project_ids, project=caller.project)
    return listing(Page(made, False), _permission)


@router.get("/checkpoints/{model:path}/permissions")
def list_permissions(
    here: Here,
    caller: Admin,
    model: str,
    project_id: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 10,
    order: Literal["ascending", "descending"] = "descending",
) -> dict[str, Any]:
    """List which other projects may ask a checkpoint."""
    with _missing(model):
        page = permissions.permissions(
            here.workspace,
            model,
            project=caller.project,
            of=project_id,
            after=after,
            limit=limit,
            order="desc" if order == "descending" else "asc",
        )
    return listing(page, _permission)


@router.delete("/checkpoints/{model:path}/permissions/{permission}")
def withdraw(here: Here, caller: Admin, model: str, permission: str) -> dict[str, Any]:
    """Take a permission away."""
    with _missing(model, permission):
        permissions.withdraw(here.workspace, model, permission, project=caller.project)
    return {"id": permission, "object": "checkpoint.permission", "deleted": True}


def _asked(wanted: CreateJob, *, runs_python: bool) -> Asked:
    method = wanted.method.type if wanted.method else "supervised"
    own = getattr(wanted.method, method, None) if wanted.method else None
    settings = (own.hyperparameters if own else None) or wanted.hyperparameters
    return Asked(
        model=wanted.model,
        training_file=wanted.training_file,
        validation_file=wanted.validation_file,
        method=method,
        grader=_grader(wanted, runs_python=runs_python) if method == REINFORCEMENT else None,
        hyperparameters=settings.given() if settings else {},
        suffix=wanted.suffix,
        seed=wanted.seed,
        metadata=wanted.metadata,
        integrations=[each.model_dump() for each in wanted.integrations] if wanted.integrations else None,
    )


def _grader(wanted: CreateJob, *, runs_python: bool) -> dict[str, Any]:
    """The grader of a job, as it was understood.

    Raises:
        InputError: If there is none, or none that can be used here.
        ApiError: If the job asks for what is not there.
    """
    asked, where = wanted.method.reinforcement if wanted.method else None, f"method.{REINFORCEMENT}"
    if asked and asked.response_format and asked.response_format.get("type") != "text":
        raise ApiError(
            400,
            "Answers are drawn freely here, and 'response_format' would hold them to a form. Leave it out, and let the "
            "grader give points for the form: what asks for {{sample.output_json}} gives none where the answer is no "
            "JSON.",
            param=f"{where}.response_format",
            code="unsupported_parameter",
        )
    grader = parse_grader(asked.grader if asked else None, where=f"{where}.grader")
    check_allowed(grader, runs_python=runs_python, where=f"{where}.grader")
    return grader.as_json()


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except JobError as error:
        message = f"{error.what}. {error.hint}".strip()
        raise ApiError(400, message, param=error.where or None, code=error.code) from error


@contextlib.contextmanager
def _missing(model: str, permission: str = "") -> Iterator[None]:
    try:
        yield
    except NoSuchRecordError as error:
        if error.id == model:
            raise not_found("fine-tuned model checkpoint", model) from error
        raise not_found("checkpoint permission", permission) from error


def _find(here: Here, project: str, job: str) -> Record:
    try:
        return here.workspace.record(JOB, job, project=project)
    except NoSuchRecordError:
        raise _no_job(job) from None


def _no_job(job: str) -> ApiError:
    return not_found("fine-tuning job", job, param="fine_tuning_job_id", code="fine_tune_not_found")


def _change(here: Here, project: str, job: str, change: Callable[..., Record]) -> dict[str, Any]:
    try:
        with _refusals():
            return _job(change(here.workspace, job, project=project))
    except NoSuchRecordError:
        raise _no_job(job) from None


def _page(here: Here, kind: str, wanted: Wanted, **which: Any) -> Page:
    return here.workspace.records(kind, after=wanted.after, limit=wanted.limit, order=wanted.order, **which)


def _job(record: Record) -> dict[str, Any]:
    body = record.body
    return {
        "id": record.id,
        "object": "fine_tuning.job",
        "created_at": record.created_at,
        "finished_at": body.get("finished_at"),
        "estimated_finish": body.get("estimated_finish"),
        "fine_tuned_model": body.get("fine_tuned_model"),
        "model": body["model"],
        "organization_id": body["organization_id"],
        "result_files": body.get("result_files", []),
        "status": body["status"],
        "trained_tokens": body.get("trained_tokens"),
        "training_file": body["training_file"],
        "validation_file": body.get("validation_file"),
        "hyperparameters": body["hyperparameters"],
        "method": body.get("method"),
        "integrations": body.get("integrations") or [],
        "seed": body["seed"],
        "metadata": body.get("metadata"),
        "error": body.get("error"),
        "user_provided_suffix": body.get("user_provided_suffix"),
    }


def _event(record: Record) -> dict[str, Any]:
    body = record.body
    return {
        "id": record.id,
        "object": "fine_tuning.job.event",
        "created_at": record.created_at,
        "level": body["level"],
        "type": body["type"],
        "message": body["message"],
        "data": body["data"],
    }


def _checkpoint(record: Record) -> dict[str, Any]:
    body = record.body
    return {
        "id": record.id,
        "object": "fine_tuning.job.checkpoint",
        "created_at": record.created_at,
        "fine_tuned_model_checkpoint": body["fine_tuned_model_checkpoint"],
        "fine_tuning_job_id": body["fine_tuning_job_id"],
        "metrics": body["metrics"],
        "step_number": body["step_number"],
    }


def _permission(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "object": "checkpoint.permission",
        "created_at": record.created_at,
        "project_id": record.body["project_id"],
    }
