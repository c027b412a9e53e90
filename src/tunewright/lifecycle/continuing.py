"""Beginning a run at the last good checkpoint of another, with a lower rate: what is left to do after a divergence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewright.base.errors import WorkspaceError, collect
from tunewright.base.events import Listener, Message
from tunewright.store import Run, Workspace

_RECORD = "continued_from"
# What a manifest keeps of the choices that a recipe leaves to its run.
_SETTLED = ("method", "adapter")
# Beside settings under `train` that two such runs need not share: what is done once the adapter is there.
_FREE = ("goal", "evaluate", "success", "gate")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run began.

    Args:
        run: The other run's id.
        step: The step of its checkpoint.
        changed: Where the recipes differ, a line each.
    """

    run: str
    step: int
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return f"step {self.step} of run {self.run} ({'; '.join(self.changed) or 'with the same recipe'})"


def find_origin(workspace: Workspace, name: str, asked: Mapping[str, Any]) -> tuple[Origin, dict[str, Any]]:
    """The run whose checkpoint another one is to begin from.

    Args:
        name: Its id or the beginning of it, or a name: its newest run.
        asked: The new run's recipe.
    Returns:
        It, and what the new run's manifest takes over.
    Raises:
        WorkspaceError: If there is no such run, it is running, it has no good checkpoint, or its checkpoints mean
            something else under this recipe.
    """
    from tunewright.train.checkpoint import newest_good, step_of

    run = workspace.find_run(name)
    if run.status == "running":
        raise WorkspaceError(f"The run {run.id} is still running", hint="Wait for it, or stop it.")
    found = changes(run.recipe, asked)
    if strange := [line for field, line in found.items() if not _may_differ(field)]:
        raise WorkspaceError(
            f"The run {run.id} was started with another recipe\n{collect(strange)}\n",
            hint="From its checkpoint the rate, its schedule and the like may differ (train.…), and these may not.",
        )
    place = newest_good(_checkpoints(run))
    if place is None:
        raise WorkspaceError(
            f"The run {run.id} has no checkpoint to begin from",
            where=str(_checkpoints(run)),
            hint="Finished runs keep none, nor do those that were stopped before the first. Start a new run.",
        )
    origin = Origin(run.id, step_of(place), tuple(found.values()))
    settled = {key: run.manifest[key] for key in _SETTLED if key in run.manifest}
    return origin, {_RECORD: asdict(origin), **settled}


def origin_of(run: Run) -> Origin | None:
    """Where a run began; None where that was the beginning."""
    kept = run.manifest.get(_RECORD)
    return None if kept is None else Origin(kept["run"], kept["step"], tuple(kept["changed"]))


def begin(run: Run, workspace: Workspace, listener: Listener) -> Path | None:
    """The folder of the run whose checkpoint this one begins from, which is told; None where there is no such."""
    origin = origin_of(run)
    if origin is None:
        return None
    listener(Message(f"This run begins at {origin}."))
    return workspace.find_run(origin.run).folder


def changes(then: Any, now: Any, field: str = "") -> dict[str, str]:
    """Where two recipes differ: a line for each field."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        keys = sorted({*then, *now})
        inner = (changes(then.get(key), now.get(key), f"{field}.{key}".lstrip(".")) for key in keys)
        return {name: line for found in inner for name, line in found.items()}
    return {} if then == now else {field: f"{field}: was {then!r}, is {now!r}"}


def _may_differ(field: str) -> bool:
    from tunewright.train.kinship import SHARED

    section, _, rest = field.partition(".")
    return section in _FREE or (section == "train" and rest.partition(".")[0] not in SHARED)


def _checkpoints(run: Run) -> Path:
    from tunewright.train.checkpoint import FOLDER

    return run.folder / FOLDER
