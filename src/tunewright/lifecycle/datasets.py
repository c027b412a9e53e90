"""A dataset by what people call it."""

from __future__ import annotations

import re
from pathlib import Path

from tunewright.base.errors import WorkspaceError
from tunewright.data.dataset import Dataset
from tunewright.store import Workspace

_HASH = re.compile(r"[0-9a-f]{4,64}")


def find_dataset(workspace: Workspace, name: str) -> Dataset:
    """The dataset of a hash or the beginning of one, of a run's id or name (the newest), or of its folder.

    Raises:
        WorkspaceError: If there is none, or the run has prepared none yet.
    """
    folder = Path(name)
    if folder.is_dir() and _HASH.fullmatch(folder.resolve().name):
        name = folder.resolve().name
    if _HASH.fullmatch(name) and any(stored.hash.startswith(name) for stored in workspace.artifacts("dataset")):
        return Dataset.open(workspace.artifact(name, "dataset"))
    runs = [run for run in workspace.runs(name=name) if "prepare" in run.manifest.get("stages", {})]
    run = runs[0] if runs else workspace.find_run(name)
    record = run.manifest.get("stages", {}).get("prepare")
    if record is None:
        raise WorkspaceError(
            f"The run {run.id} has prepared no dataset",
            where=str(workspace.root),
            hint="Prepare one first: tunewright data prepare RECIPE.",
        )
    return Dataset.open(workspace.artifact(record["dataset"], "dataset", producer=run.id))
