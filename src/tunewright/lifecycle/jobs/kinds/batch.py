"""Batches: a file of requests is answered by models of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunewright.lifecycle.jobs.desk import Desk
    from tunewright.store import Workspace
    from tunewright.store.queue import Task


def handle(task: Task, desk: Desk) -> None:
    """Does a batch, or goes on with it.

    Raises:
        Stopped: If the process shall stop.
        Later: If it cannot go on for now.
    """
    from tunewright.lifecycle.batches.replying import replier
    from tunewright.lifecycle.batches.running import work_on
    from tunewright.lifecycle.grading import own_models

    project = desk.workspace.record(task.kind, task.id).project
    with own_models(desk) as (fleet, patience):
        work_on(desk.workspace, task.id, replier(fleet, project, patience), desk.check)


def give_up(task: Task, desk: Desk, why: str) -> None:
    """Marks a batch as failed."""
    from tunewright.lifecycle.batches.running import fail

    fail(desk.workspace, task.id, "server_error", why)


def come_so_far(task: Task, workspace: Workspace) -> int:
    """How many requests are answered."""
    from tunewright.lifecycle.batches.answers import answers_so_far, folder_of

    return len(answers_so_far(folder_of(workspace.root, task.id)))


def recover(workspace: Workspace) -> None:
    """Queues batches that were recorded, or were being cancelled, by a process that was killed."""

    for status in ("validating", "cancelling"):
        for batch in workspace.each_record("batch", where={"status": status}):
            workspace.enqueue("batch", batch.id)
