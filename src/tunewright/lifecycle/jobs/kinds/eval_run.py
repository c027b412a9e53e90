"""Runs of evals: rows are answered by models of this process, and graded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunewright.lifecycle.jobs.desk import Desk
    from tunewright.store import Workspace
    from tunewright.store.queue import Task


def handle(task: Task, desk: Desk) -> None:
    """Does a run, or goes on with it.

    Raises:
        Stopped: If the process shall stop.
        Later: If it cannot go on for now.
    """
    from tunewright.lifecycle.evals.running import work_on
    from tunewright.lifecycle.grading import asker, grading_kit, own_models

    project = desk.workspace.record(task.kind, task.id).project
    with own_models(desk) as (fleet, patience):
        kit = grading_kit(desk.workspace, asker(fleet, project, patience), runs_python=desk.setup.python_graders)
        work_on(desk.workspace, task.id, kit, desk.check)


def give_up(task: Task, desk: Desk, why: str) -> None:
    """Marks a run as failed."""
    from tunewright.lifecycle.evals.running import fail

    fail(desk.workspace, task.id, "server_error", why)


def come_so_far(task: Task, workspace: Workspace) -> int:
    """How many rows are graded."""
    from tunewright.lifecycle.evals.run import items_of

    return sum(1 for _ in items_of(workspace, task.id))


def recover(workspace: Workspace) -> None:
    """Queues runs that were recorded by a process that was killed before it could queue them."""

    for run in workspace.each_record("eval_run", where={"status": "queued"}):
        workspace.enqueue("eval_run", run.id)
