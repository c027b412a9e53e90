"""Taking edits back: a dataset is prepared again without them, and every row keeps the part it had.

What is taken back stands in the recipe (`data.undo`), so that no later preparation does it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunewright.base.errors import DataError, WorkspaceError
from tunewright.base.events import Listener, ignore
from tunewright.base.files import hash_file
from tunewright.data.augmenting import STEP as AUGMENT
from tunewright.data.dataset import CHALLENGER, PARTS, Dataset
from tunewright.data.ledger import chosen_edits, known_steps, read_ledger
from tunewright.data.readers import find_files
from tunewright.lifecycle.datasets import find_dataset
from tunewright.lifecycle.job import start
from tunewright.lifecycle.preparing import prepare
from tunewright.plan import edit
from tunewright.recipe import Recipe, load_recipe, recipe_from_mapping
from tunewright.store import Workspace

_LEAKAGE = "leakage"


@dataclass(frozen=True, slots=True)
class Undone:
    """A dataset without some edits.

    Args:
        parent: The dataset they were taken back in.
        dataset: The new one.
        taken: How many edits were taken back, by step.
        steps: For each step what it changed and dropped before and now; later steps saw other rows.
        fields: What a recipe must say so that it stays so: `data.undo` and `data.parts_of`.
        recipe: The recipe file it was written into; None where none was named.
        run: The run that prepared it.
        workspace: Where it is kept.
    """

    parent: Dataset
    dataset: Dataset
    taken: dict[str, int]
    steps: tuple[dict[str, Any], ...]
    fields: dict[str, Any]
    recipe: Path | None
    run: str
    workspace: Path

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "dataset": self.dataset.hash,
            "path": str(self.dataset.path),
            "parent": self.parent.hash,
            "taken_back": self.taken,
            "steps": list(self.steps),
            "splits": self.dataset.manifest["splits"],
            "fields": self.fields,
            "recipe": str(self.recipe) if self.recipe else None,
            "run": self.run,
        }


def undo(
    name: str,
    *,
    step: str = "",
    row: str = "",
    field: str = "",
    recipe: Path | None = None,
    workspace: str | Path | None = None,
    listener: Listener = ignore,
) -> Undone:
    """Takes edits back: those of a step, of a row, of a field, or of what all that is given has in common.

    The sources are read again, so they must be as they were; the steps after the one taken back work on what it leaves.

    Args:
        name: The dataset: its hash, or the run that prepared it.
        step: Only what this step did.
        row: Only what was done to the row of this id.
        field: Only what was done to this column.
        recipe: The recipe file to write it into; without one its fields are only told.
        workspace: As `Workspace.open` takes it.
        listener: Hears the preparation.

    Raises:
        DataError: If no edit matches, or the sources or steps are no longer those of the dataset.
        WorkspaceError: If there is no such dataset, or no run is on record that made it.
    """
    if not (step or row):
        raise DataError("Nothing is named to take back", hint="Name a step with --step, a row with --row, or both.")
    place = Workspace.open(workspace, create=False)
    parent = find_dataset(place, name)
    taken = _matching(parent, step, row, field)
    text = edit.read(recipe) if recipe else ""
    given = load_recipe(recipe) if recipe else _recipe_of(parent, place)
    _check_same(parent, given)
    said = {key: value for key, value in (("step", step), ("row", row), ("field", field)) if value}
    known = [each.model_dump(exclude_defaults=True) for each in given.data.undo]
    fields = {"data.undo": [*known, *([] if said in known else [said])], "data.parts_of": parent.hash}
    written = edit.edit(recipe, text, fields) if recipe else None
    checked = recipe_from_mapping(_with(given, fields))
    with start(checked, workspace=place, listener=listener, kind="prepare") as job:
        dataset = prepare(job)
        _check_files(parent, dataset.manifest["sources"])  # what lies elsewhere may answer otherwise by now
    if written:
        written.write()
    steps = _beside(parent, dataset)
    return Undone(parent, dataset, taken, steps, fields, recipe, job.run.id, place.root)


def _matching(parent: Dataset, step: str, row: str, field: str) -> dict[str, int]:
    """How many edits are to be taken back, by step.

    Raises:
        DataError: If there are none, or they are no step's.
    """
    read_ledger(parent, step=step, row=row, limit=0)  # refuses a step or row that is not there, and says what is
    if step == _LEAKAGE:
        raise DataError(
            "Rows that stand in the held-out data leave the training data by data.leakage, and not by a step",
            where=str(parent.path),
            hint="Set data.leakage to 'report' to keep them, and to see both scores.",
        )
    if step == CHALLENGER:
        raise DataError(
            "These rows are in a challenger set of the workspace, which no run of it learns from",
            where=str(parent.path),
            hint="Prepare them in another workspace if they are to be learned after all.",
        )
    if step == AUGMENT:
        raise DataError(
            "These rows were added by data.augment, and not by a step",
            where=str(parent.path),
            hint="Take data.augment out of the recipe, or change it, and prepare again.",
        )
    edits = chosen_edits(parent, step=step, row=row, field=field).filter(
        ~pl.col("step").is_in([_LEAKAGE, CHALLENGER, AUGMENT])
    )
    counted = edits.group_by("step").agg(pl.len()).collect(engine="streaming")
    found = dict(counted.iter_rows())
    if not found:
        raise DataError(
            "No edit of the dataset is of that step, row and field",
            where=str(parent.path),
            hint=f"See them with: tunewright data diff {parent.hash[:12]}.",
        )
    return {name: found[name] for name in known_steps(parent) if name in found}


def _recipe_of(dataset: Dataset, workspace: Workspace) -> Recipe:
    """The recipe of the run that made a dataset last."""
    run = workspace.lineage(dataset.hash, "dataset").producer
    if not run:
        raise WorkspaceError(
            "No run is on record that made this dataset", where=str(dataset.path), hint="Name its recipe with --recipe."
        )
    return recipe_from_mapping(workspace.find_run(run).recipe, where=f"run {run}")


def _with(recipe: Recipe, fields: dict[str, Any]) -> dict[str, Any]:
    """The recipe with fields of its data section set, as a mapping."""
    mapping = recipe.model_dump(mode="json")
    return mapping | {"data": mapping["data"] | {name.removeprefix("data."): value for name, value in fields.items()}}


def _check_same(parent: Dataset, recipe: Recipe) -> None:
    """Raises a `DataError` if a recipe would not make the dataset again, as far as can be seen without reading rows."""
    sources = [(part, source) for part in (*PARTS, CHALLENGER) for source in getattr(recipe.data, part)]
    if not any(source.is_elsewhere for _, source in sources):
        files = dict.fromkeys((part, file) for part, source in sources for file in find_files(source))
        _check_files(parent, [{"part": part, "sha256": hash_file(file)} for part, file in files])
    asked = {
        "step_settings": [step.model_dump() for step in recipe.data.steps],
        "seed": recipe.seed,
        "template": recipe.data.template.model_dump() if recipe.data.template else None,
    }
    for key, value in asked.items():
        if json.dumps(value, default=list) != json.dumps(parent.manifest[key], default=list):
            raise DataError(
                f"The recipe's {key.replace('_', ' ')} is not what this dataset was made with",
                where=parent.hash[:12],
                hint="Prepare the recipe as it is now (tunewright data prepare), and undo in the dataset it gives.",
            )


def _check_files(parent: Dataset, files: Iterable[Mapping[str, Any]]) -> None:
    """Raises a `DataError` if these are not the files, by part and content, that a dataset was made of."""
    then, now = (
        sorted((file["part"], file["sha256"]) for file in each) for each in (parent.manifest["sources"], files)
    )
    if now != then:
        raise DataError(
            "The files are not those that this dataset was made of: one was changed, added or taken away",
            where=parent.hash[:12],
            hint="Prepare the recipe as it is now (tunewright data prepare), and undo in the dataset that it gives.",
        )


def _beside(parent: Dataset, dataset: Dataset) -> tuple[dict[str, Any], ...]:
    """What each step did, before and now."""
    return tuple(
        {
            "step": old["name"],
            "changed": [old["changed"], new["changed"]],
            "dropped": [old["dropped"], new["dropped"]],
        }
        for old, new in zip(parent.manifest["steps"], dataset.manifest["steps"], strict=True)
    )
