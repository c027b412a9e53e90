"""What a workspace holds, in numbers, for those who watch it. Looks only: nothing is settled, locked or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from tunewright.store import tables

if TYPE_CHECKING:
    from tunewright.store.workspace import Workspace

# Enough steps for a rate that does not jump, few enough to be read at every look.
_STEPS = 20


@dataclass(frozen=True)
class Pace:
    """Where a run that is under way stands.

    Args:
        kind: Of the run.
        step: Its newest step.
        total: How many there will be.
        loss: Of the newest step; None where none was told.
        tokens_per_s: Over the newest steps; None before there are two of them.
    """

    run: str
    name: str
    kind: str
    step: int
    total: int
    loss: float | None
    tokens_per_s: float | None


def record_states(workspace: Workspace, kind: str) -> dict[str, int]:
    """How many records of a kind have which `status` in their body."""
    records = tables.records.c
    status = records.body["status"].as_string()
    query = select(status, func.count()).where(records.kind == kind, records.body.is_not(None)).group_by(status)
    with workspace.database.read() as connection:
        return {str(name): count for name, count in connection.execute(query) if name is not None}


def task_states(workspace: Workspace) -> dict[tuple[str, str], int]:
    """How many tasks there are, by kind and state."""
    tasks = tables.tasks.c
    query = select(tasks.kind, tasks.state, func.count()).group_by(tasks.kind, tasks.state)
    with workspace.database.read() as connection:
        return {(kind, state): count for kind, state, count in connection.execute(query)}


def paces(workspace: Workspace) -> list[Pace]:
    """The runs that are under way and have measured a step, the newest first."""
    runs = tables.runs.c
    query = select(runs.id, runs.name, runs.kind).where(runs.status == "running").order_by(runs.created_at.desc())
    with workspace.database.read() as connection:
        found = [_pace(connection, *row) for row in connection.execute(query).all()]
    return [pace for pace in found if pace is not None]


def _pace(connection: Connection, run: str, name: str, kind: str) -> Pace | None:
    events = tables.events.c
    newest = select(events.at, events.event).where(events.run_id == run, events.kind == "metrics")
    rows = connection.execute(newest.order_by(events.seq.desc()).limit(_STEPS)).all()
    # What is measured between steps (validation) says nothing of their pace.
    steps = [(row.at, row.event) for row in reversed(rows) if "validated" not in row.event["values"]]
    if not steps:
        return None
    (first_at, _), (last_at, last) = steps[0], steps[-1]
    took_s = (last_at - first_at).total_seconds()
    tokens = sum(_number(event["values"], "tokens") or 0.0 for _, event in steps[1:])
    return Pace(
        run=run,
        name=name,
        kind=kind,
        step=last["step"],
        total=last["total"],
        loss=_number(last["values"], "loss"),
        tokens_per_s=tokens / took_s if took_s > 0 else None,
    )


def _number(values: Mapping[str, float], name: str) -> float | None:
    return float(values[name]) if name in values else None
