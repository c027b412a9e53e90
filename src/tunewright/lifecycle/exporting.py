"""A dataset written for other programs: of a recipe, which is prepared first, or one that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, ignore
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset, Part
    from tunewright.data.exporting import Exported


def export_dataset(
    target: str,
    output: Path,
    format: str,
    *,
    part: Part = "train",
    partial: bool = False,
    guard: bool = True,
    force: bool = False,
    overrides: Sequence[str] = (),
    workspace: Path | None = None,
    listener: Listener = ignore,
) -> Exported:
    """Writes a part of a dataset to a file.

    Args:
        target: A recipe's file, or a dataset's hash or its beginning.
        output: Where to write.
        format: A name of `data/exports`.
        part: Which rows.
        partial: Leave off what the format cannot hold, and count it.
        guard: Guard cells of CSV against being taken for formulas.
        force: Write over an existing file.
        overrides: `a.b=value` each, for a recipe.
        workspace: Where the dataset is kept.
        listener: Hears how far it is.

    Raises:
        InputError: If the output exists already, or the recipe, the dataset or the format are wrong.
    """
    from tunewright.base.plugins import EXPORTS
    from tunewright.data.exporting import export

    EXPORTS.module(format)  # before anything is prepared for it
    if output.exists() and not force:
        raise InputError("This file exists already", where=str(output), hint="Name another, or add --force.")
    dataset = _dataset(target, overrides, workspace, listener)
    return export(dataset, output, format, part=part, partial=partial, guard=guard, listener=listener)


def _dataset(target: str, overrides: Sequence[str], workspace: Path | None, listener: Listener) -> Dataset:
    from tunewright.data.dataset import Dataset

    if not target.endswith((".yaml", ".yml")):
        if overrides:
            raise InputError("--set changes a recipe, and this is a dataset", where=target)
        return Dataset.open(Workspace.open(workspace, create=False).artifact(target, "dataset"))
    from tunewright.lifecycle.job import start
    from tunewright.lifecycle.preparing import prepare
    from tunewright.recipe import load_recipe

    with start(load_recipe(target, overrides), workspace=workspace, listener=listener, kind="prepare") as job:
        return prepare(job)
