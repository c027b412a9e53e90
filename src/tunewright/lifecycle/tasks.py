"""A task file of lm-evaluation-harness, measured on whatever can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import ModelError
from tunewright.base.events import Listener, ignore
from tunewright.base.quiet import quiet
from tunewright.lifecycle.targets import Target, find_target
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.evaluate.task_scores import TaskScores
    from tunewright.models.base import Base

_BATCH_SIZE = 64


def measure_task(
    word: str,
    file: str | Path,
    *,
    limit: int | None = None,
    base: str = "",
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
) -> tuple[Target, TaskScores]:
    """A model's numbers on a task, and which model that was.

    Args:
        word: A release, a recipe whose run is trained, a base model, or an adapter's folder.
        file: The task file; its data must lie on this machine.
        limit: Only the first so many rows.
        base: The base of an adapter that does not name one.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does.
        listener: Hears of progress.

    Raises:
        InputError: If the target, the task file or its data are wrong, or the model continues no texts.
    """
    from tunewright.evaluate.task_scores import run_task
    from tunewright.evaluate.tasks import read_task

    task = read_task(file)
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
    target = find_target(word, place, base=base)
    loaded, model = _open(target, place, listener)
    with quiet():
        return target, run_task(model, loaded, task, limit=limit, batch_size=_BATCH_SIZE, listener=listener)


def _open(target: Target, workspace: Workspace, listener: Listener) -> tuple[Base, Any]:
    """The target's base and its model."""
    with quiet():
        from tunewright.forest import layout
        from tunewright.models.adapters import classes_of, load_adapter
        from tunewright.models.base import load_base
        from tunewright.models.device import pick_device
        from tunewright.models.resolve import resolve

        files = resolve(target.base, workspace.cache, listener)
        if files.kind != "causal-lm" or (target.adapter and classes_of(target.adapter)):
            raise ModelError("Tasks ask for texts to be continued, which this model does not do", where=target.label)
        base = load_base(files, "auto", device=pick_device())
        layout.adopt(base.model)
        return base, load_adapter(base, target.adapter) if target.adapter else base.model
