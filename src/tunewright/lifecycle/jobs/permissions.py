"""Which other projects may ask a fine-tuned model, or a checkpoint of one."""

from __future__ import annotations

from collections.abc import Sequence

from tunewright.base.errors import NoSuchRecordError
from tunewright.lifecycle.jobs.jobs import PERMISSION
from tunewright.lifecycle.serving.names import MODEL
from tunewright.store import Workspace
from tunewright.store.records import Order, Page, Record, new_id


def permit(workspace: Workspace, model: str, projects: Sequence[str], *, project: str) -> list[Record]:
    """Lets projects ask a model; one that may already keeps its permission.

    Args:
        project: Whose the model is.

    Raises:
        NoSuchRecordError: If there is no such model, or it is another project's.
    """
    workspace.record(MODEL, model, project=project)
    return [_permission(workspace, model, each, project) for each in dict.fromkeys(projects)]


def permissions(
    workspace: Workspace,
    model: str,
    *,
    project: str,
    of: str | None,
    after: str | None,
    limit: int,
    order: Order,
) -> Page:
    """A page of a model's permissions.

    Args:
        project: Whose the model is.
        of: Only those of this project.

    Raises:
        NoSuchRecordError: If there is no such model, or it is another project's.
        InputError: If there is no permission `after`.
    """
    workspace.record(MODEL, model, project=project)
    return workspace.records(
        PERMISSION,
        parent=model,
        after=after,
        limit=limit,
        order=order,
        where=None if of is None else {"project_id": of},
    )


def withdraw(workspace: Workspace, model: str, permission: str, *, project: str) -> None:
    """Takes a permission away.

    Raises:
        NoSuchRecordError: If the model has no such permission, or is another project's.
    """
    workspace.record(MODEL, model, project=project)
    if workspace.record(PERMISSION, permission).parent != model:
        raise NoSuchRecordError(PERMISSION, permission)
    workspace.remove_record(PERMISSION, permission)


def _permission(workspace: Workspace, model: str, of: str, project: str) -> Record:
    there = workspace.records(PERMISSION, parent=model, where={"project_id": of}, limit=1).records
    if there:
        return there[0]
    return workspace.add_record(PERMISSION, {"project_id": of}, id=new_id("cp_"), parent=model, project=project)
