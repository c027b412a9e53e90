"""Evals: rows, graders, and runs that hold answers by them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.lifecycle.evals import definition, page, run
from tunewright.lifecycle.evals.definition import create_eval, render_eval, update_eval
from tunewright.lifecycle.evals.run import render_item, render_run
from tunewright.server.context import Caller, Here, Reader, Server, Trainer
from tunewright.server.errors import not_found
from tunewright.server.paging import Wanted, listing, paging
from tunewright.server.wire.evals import EvalCreate, EvalUpdate, RunCreate
from tunewright.store import Page, Record

router = APIRouter(prefix="/v1/evals", tags=["evals"])

Paging = Annotated[Wanted, Depends(paging(order="asc"))]
RunStatus = Literal["queued", "in_progress", "completed", "canceled", "failed"]
OrderBy = Annotated[Literal["created_at", "updated_at"], Query(description="What evals are ordered by.")]


@router.post("", status_code=201)
def create(asked: EvalCreate, here: Here, caller: Trainer) -> dict[str, Any]:
    """Makes an eval: what its rows look like, and which graders hold the answers."""
    record = create_eval(
        here.workspace,
        data_source=asked.data_source_config.model_dump(),
        criteria=asked.testing_criteria,
        name=asked.name,
        metadata=asked.metadata,
        project=caller.project,
        runs_python=here.settings.python_graders,
    )
    return render_eval(record)


@router.get("")
def listed(page: Paging, here: Here, caller: Reader, order_by: OrderBy = "created_at") -> dict[str, Any]:
    """Evals, the oldest first unless asked otherwise."""
    if order_by == "updated_at":
        return listing(_by_change(here, caller, page), render_eval)
    return listing(_page(here, caller, page, definition.KIND), render_eval)


@router.get("/{eval_id}")
def retrieve(eval_id: str, here: Here, caller: Reader) -> dict[str, Any]:
    """One eval."""
    return render_eval(_eval(here, caller, eval_id))


@router.post("/{eval_id}")
def update(eval_id: str, asked: EvalUpdate, here: Here, caller: Trainer) -> dict[str, Any]:
    """Renames an eval, or changes its notes; what is not said stays."""
    _eval(here, caller, eval_id)
    changes = asked.model_dump(include={"metadata"} & asked.model_fields_set)
    if asked.name is not None:
        changes["name"] = asked.name
    return render_eval(update_eval(here.workspace, eval_id, changes))


@router.delete("/{eval_id}")
def delete(eval_id: str, here: Here, caller: Trainer) -> dict[str, Any]:
    """Removes an eval with all of its runs."""
    run.remove_eval(here.workspace, _eval(here, caller, eval_id))
    return {"object": "eval.deleted", "deleted": True, "eval_id": eval_id}


@router.post("/{eval_id}/runs", status_code=201)
def create_run(eval_id: str, asked: RunCreate, request: Request, here: Here, caller: Trainer) -> dict[str, Any]:
    """Starts a run: a worker answers the rows, where they are not answered yet, and grades the answers."""
    record = run.create_run(
        here.workspace,
        _eval(here, caller, eval_id),
        data_source=asked.data_source.model_dump(mode="json", exclude_unset=True),
        name=asked.name,
        metadata=asked.metadata,
        runs_python=here.settings.python_graders,
        server_url=str(request.base_url),
    )
    return render_run(record)


@router.get("/{eval_id}/runs")
def list_runs(
    eval_id: str, page: Paging, here: Here, caller: Reader, status: RunStatus | None = None
) -> dict[str, Any]:
    """An eval's runs."""
    _eval(here, caller, eval_id)
    return listing(_page(here, caller, page, run.KIND, eval_id, status), render_run)


@router.get("/{eval_id}/runs/{run_id}")
def retrieve_run(eval_id: str, run_id: str, here: Here, caller: Reader) -> dict[str, Any]:
    """One run."""
    return render_run(_run(here, caller, eval_id, run_id))


# Older clients cancel by a POST to the run itself.
@router.post("/{eval_id}/runs/{run_id}", include_in_schema=False)
@router.post("/{eval_id}/runs/{run_id}/cancel")
def cancel_run(eval_id: str, run_id: str, here: Here, caller: Trainer) -> dict[str, Any]:
    """Ends a run; what was graded is kept."""
    return render_run(run.cancel_run(here.workspace, _run(here, caller, eval_id, run_id)))


@router.delete("/{eval_id}/runs/{run_id}")
def delete_run(eval_id: str, run_id: str, here: Here, caller: Trainer) -> dict[str, Any]:
    """Removes a run with its items."""
    run.remove_run(here.workspace, _run(here, caller, eval_id, run_id))
    return {"object": "eval.run.deleted", "deleted": True, "run_id": run_id}


@router.get("/{eval_id}/runs/{run_id}/report", response_class=HTMLResponse)
def report(eval_id: str, run_id: str, here: Here, caller: Reader) -> HTMLResponse:
    """A run as a page for people."""
    found = _run(here, caller, eval_id, run_id)
    text = page.page_of(found, run.items_of(here.workspace, run_id))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


@router.get("/{eval_id}/runs/{run_id}/output_items")
def list_items(
    eval_id: str,
    run_id: str,
    page: Paging,
    here: Here,
    caller: Reader,
    status: Literal["fail", "pass"] | None = None,
) -> dict[str, Any]:
    """The rows of a run, each with its answer and its grades."""
    _run(here, caller, eval_id, run_id)
    return listing(_page(here, caller, page, run.ITEM, run_id, status), render_item)


@router.get("/{eval_id}/runs/{run_id}/output_items/{output_item_id}")
def retrieve_item(eval_id: str, run_id: str, output_item_id: str, here: Here, caller: Reader) -> dict[str, Any]:
    """One row of a run."""
    _run(here, caller, eval_id, run_id)
    return render_item(_one(here, caller, run.ITEM, "output item", output_item_id, run_id))


def _eval(here: Server, caller: Caller, id: str) -> Record:
    return _one(here, caller, definition.KIND, "eval", id)


def _run(here: Server, caller: Caller, eval_id: str, id: str) -> Record:
    _eval(here, caller, eval_id)
    return _one(here, caller, run.KIND, "run", id, eval_id)


def _one(here: Server, caller: Caller, kind: str, what: str, id: str, parent: str = "") -> Record:
    try:
        found = here.workspace.record(kind, id, project=caller.project)
    except NoSuchRecordError:
        raise not_found(what, id) from None
    if found.parent != parent:
        raise not_found(what, id)
    return found


def _page(
    here: Server, caller: Caller, page: Wanted, kind: str, parent: str | None = None, status: str | None = None
) -> Page:
    return here.workspace.records(
        kind,
        parent=parent,
        project=caller.project,
        after=page.after,
        limit=page.limit,
        order=page.order,
        where=None if status is None else {"status": status},
    )


def _by_change(here: Server, caller: Caller, page: Wanted) -> Page:
    """A page of evals in the order in which they were changed last."""
    everything = [*here.workspace.each_record(definition.KIND, project=caller.project)]
    everything.sort(key=lambda record: (record.body["_updated_at"], record.seq), reverse=page.order == "desc")
    start = 0
    if page.after is not None:
        places = {record.id: place for place, record in enumerate(everything, 1)}
        if page.after not in places:
            raise InputError(f"No eval has the id '{page.after}'", where="after", hint="Begin again without it.")
        start = places[page.after]
    return Page(everything[start : start + page.limit], len(everything) > start + page.limit)
