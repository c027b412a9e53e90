"""From a recipe to a dataset that nobody can read back without the key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from tunewright.base.errors import RecipeError
from tunewright.data.dataset import Dataset
from tunewright.data.personal.keys import Key, open_sealed
from tunewright.data.prepare import prepare
from tunewright.recipe import load_recipe
from tunewright.store import Workspace

KEY = bytes(range(32))
PEOPLE = ("Zorvath Lindqvister", "Priyanka Velorathe", "Anna Kowalska")
RECIPE = """
name: sealed
goal: Answer.
data:
  train: rows.jsonl
  steps:
    - {name: redact, replace: pseudonym, key_file: redact.key}
    - whitespace
    - exact_duplicates
  split: {validation: 5, test: 10, minimum_test_rows: 1}
"""


def folder_with_rows(folder: Path) -> Path:
    """A recipe, its rows and its key."""
    folder.mkdir()
    (folder / "redact.key").write_text(KEY.hex(), encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    rows = [
        {
            "prompt": f"My name is {PEOPLE[n % 3]},  parcel {n // 2} is late. Mail {PEOPLE[n % 3][:4]}@x.example.",
            "completion": f"Dear {PEOPLE[n % 3]}, we look for {n // 2}.",
        }
        for n in range(60)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "recipe.yaml"


def written(dataset: Dataset) -> str:
    """All that is in an artifact, unpacked."""
    tables = [pl.read_parquet(file).write_json() for file in sorted(dataset.path.glob("*.parquet"))]
    texts = [file.read_text(encoding="utf-8") for file in sorted(dataset.path.glob("*.json"))]
    return "\n".join([*tables, *texts, json.dumps(dataset.manifest)])


def test_nothing_leads_back_without_the_key(tmp_path: Path) -> None:
    recipe = folder_with_rows(tmp_path / "one")
    dataset = prepare(load_recipe(recipe), Workspace.open(tmp_path / "workspace"))
    text = written(dataset)
    assert "Person-" in text
    assert "Mail-" in text
    for original in (*(name for who in PEOPLE for name in who.split()), "@x.example", KEY.hex()):
        assert original not in text
    edits = pl.read_parquet(dataset.path / "edits.parquet").filter(pl.col("step") == "redact")
    opened = {open_sealed(text, Key(KEY))[0] for text in edits["before"]}
    rows = [json.loads(line) for line in (tmp_path / "one" / "rows.jsonl").read_text().splitlines()]
    assert opened == {row[field] for row in rows for field in ("prompt", "completion")}


def test_the_dataset_is_the_same_wherever_its_recipe_lies(tmp_path: Path) -> None:
    recipe = folder_with_rows(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    workspace = Workspace.open(tmp_path / "workspace")
    hashes = {prepare(load_recipe(path), workspace).hash for path in (recipe, tmp_path / "two" / "recipe.yaml", recipe)}
    assert len(hashes) == 1
    assert (tmp_path / "two" / "redact.vault").is_file()


@pytest.mark.parametrize(
    ("steps", "is_refused"),
    [
        ("[unicode, {name: redact, replace: pseudonym}]", True),
        ("[{name: redact, kinds: [email]}, {name: redact, ledger: seal}]", True),
        ("[unicode, {name: redact, replace: pseudonym, ledger: keep}]", False),
        ("[{name: redact, kinds: [email], ledger: seal}, {name: redact, replace: pseudonym}, unicode]", False),
        ("[unicode, redact]", False),
    ],
)
def test_no_step_in_front_of_a_sealed_one_keeps_a_readable_log(tmp_path: Path, steps: str, is_refused: bool) -> None:
    recipe = folder_with_rows(tmp_path / "one")
    recipe.write_text(RECIPE.split("  steps:")[0] + f"  steps: {steps}\n", encoding="utf-8")
    if is_refused:
        with pytest.raises(RecipeError, match="put it first, or set its ledger to keep"):
            load_recipe(recipe)
    else:
        assert load_recipe(recipe).data.steps
