"""Planted faults, repaired by every step, and taken back: bytes, parts and lineage."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tunewright.base.errors import DataError, InputError, RecipeError
from tunewright.data.dataset import PARTS, Dataset
from tunewright.data.ledger import compare_datasets
from tunewright.lifecycle.datasets import find_dataset
from tunewright.lifecycle.job import start
from tunewright.lifecycle.preparing import prepare
from tunewright.lifecycle.undoing import Undone, undo
from tunewright.store import Workspace

# What is wrong with each planted row, by the step that repairs it: text, label, date.
FAULTS = {
    "unicode": ("planted caf\u0065\u0301\u200b one", "a", "2024-01-01"),
    "whitespace": ("planted  two \t words", "b", "2024-01-02"),
    "redact": ("planted three for bob@mail.example.com", "a", "2024-01-03"),
    "map_values": ("planted four", "AAA", "2024-01-04"),
    "iso_dates": ("planted five", "b", "5 March 2024"),
    "require": ("planted six", "", "2024-01-06"),
    "exact_duplicates": ("Message 0 of the ordinary kind", "a", "2024-01-07"),
    "near_duplicates": ("message 11 of the ordinary kinds", "b", "2024-01-08"),
}
STEPS: list[Any] = [
    "unicode",
    "whitespace",
    {"name": "redact", "columns": ["text"], "kinds": ["email"]},
    {"name": "map_values", "column": "label", "mapping": {"AAA": "a"}},
    {"name": "iso_dates", "columns": ["date"]},
    {"name": "require", "columns": ["label"]},
    {"name": "exact_duplicates", "columns": ["text"]},
    {"name": "near_duplicates", "columns": ["text"], "threshold": 0.8},
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A recipe whose rows hold one fault of each kind, and the dataset in which all of them are repaired."""
    folder = tmp_path_factory.mktemp("planted")
    things = ["otter", "badger", "heron", "lynx", "marten", "stork", "viper", "weasel", "bison", "carp"]
    # Far enough apart for each other, near enough for the planted one.
    plain = [("message 0 of the ordinary kind", "a"), ("message 11 of the ordinary kind", "b")]
    plain += [
        (f"{thing} {other} {number}", "ab"[number % 2]) for number, thing in enumerate(things) for other in things
    ]
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("text", "label", "date"), *((*row, "2023-05-06") for row in plain), *FAULTS.values()]
        )
    recipe = {
        "name": "planted",
        "goal": "g",
        "data": {
            "train": "rows.csv",
            "template": {"user": "{text} of {date}", "assistant": "{label}"},
            "steps": STEPS,
            "split": {"test": 20, "validation": 10, "minimum_test_rows": 10},
        },
    }
    (folder / "recipe.yaml").write_text("# kept\n" + yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    with start(folder / "recipe.yaml", workspace=folder / "ws", kind="prepare") as job:
        return folder, prepare(job)


def _undo(folder: Path, **what: Any) -> Undone:
    return undo("planted", workspace=folder / "ws", **what)


def _ledger(dataset: Dataset) -> pl.DataFrame:
    return pl.read_parquet(dataset.path / "edits.parquet")


def _texts(dataset: Dataset) -> set[str]:
    return {f"{e.prompt[-1].content} = {e.answer}" for part in PARTS for e in dataset.examples(part)}


def _parts(dataset: Dataset) -> dict[str, str]:
    return {example.id: part for part in PARTS for example in dataset.examples(part)}


def test_every_planted_fault_is_repaired_and_on_record(planted: tuple[Path, Dataset]) -> None:
    _, dataset = planted
    ledger = _ledger(dataset)
    assert ledger["step"].to_list() == list(FAULTS)
    assert {
        "planted café one of 2024-01-01 = a",
        "planted two words of 2024-01-02 = b",
        "planted three for [EMAIL] of 2024-01-03 = a",
        "planted four of 2024-01-04 = a",
        "planted five of 2024-03-05 = b",
    } <= _texts(dataset)


@pytest.mark.parametrize("step", FAULTS)
def test_undo_restores_the_bytes_and_nothing_else(planted: tuple[Path, Dataset], step: str) -> None:
    folder, dataset = planted
    place = Workspace.open(folder / "ws")
    row = _ledger(dataset).filter(pl.col("step") == step)["row_id"].item()
    # Without this step a later one would drop the exact copy, so that row is taken back from both.
    what = {"row": row} if step == "exact_duplicates" else {"step": step}
    undone = undo(dataset.hash[:12], workspace=folder / "ws", **what)
    assert undone.taken == {step: 1}
    left = _ledger(undone.dataset)
    assert left.equals(_ledger(dataset).filter(pl.col("step") != step))
    text, label, date = FAULTS[step]
    if step == "require":  # a row without an answer teaches nothing, whether or not the step sets it aside
        refused = pl.read_parquet(undone.dataset.path / "refused.parquet")
        assert refused["stage"].to_list() == ["conversation"]
    else:
        assert f"{text} of {date} = {label}" in _texts(undone.dataset)
    counts = compare_datasets(dataset, undone.dataset).counts
    assert (counts["removed"], counts["moved"]) == (0, 0)
    assert counts["changed"] + counts["added"] == (step != "require")
    before, after = _parts(dataset), _parts(undone.dataset)
    assert {row: after[row] for row in before} == before  # what was held out stays held out
    lineage = place.lineage(undone.dataset.hash, "dataset")
    assert [parent.hash for parent in lineage.parents] == [dataset.hash]


def test_later_steps_work_on_what_came_back(planted: tuple[Path, Dataset]) -> None:
    """An exact copy that comes back is a near copy to the next step."""
    folder, dataset = planted
    undone = undo(dataset.hash, workspace=folder / "ws", step="exact_duplicates")
    steps = {step["step"]: step["dropped"] for step in undone.steps}
    assert steps["exact_duplicates"] == [1, 0]
    assert steps["near_duplicates"] == [1, 2]


def test_one_row_after_another_written_into_the_recipe(planted: tuple[Path, Dataset]) -> None:
    folder, dataset = planted
    recipe = folder / "again.yaml"
    recipe.write_text((folder / "recipe.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    rows = dict(_ledger(dataset).select("step", "row_id").iter_rows())
    first = undo(dataset.hash, workspace=folder / "ws", row=rows["whitespace"], recipe=recipe)
    second = undo(first.dataset.hash, workspace=folder / "ws", step="redact", recipe=recipe)
    text = recipe.read_text(encoding="utf-8")
    assert text.startswith("# kept\n")
    written = yaml.safe_load(text)["data"]
    assert written["undo"] == [{"row": rows["whitespace"]}, {"step": "redact"}]
    assert written["parts_of"] == first.dataset.hash
    assert second.dataset.manifest["undo"] == written["undo"]
    with start(recipe, workspace=folder / "ws", kind="prepare") as job:
        assert prepare(job).hash == second.dataset.hash  # the loop holds
    texts = _texts(second.dataset)
    for step in ("whitespace", "redact"):
        assert f"{FAULTS[step][0]} of {FAULTS[step][2]} = {FAULTS[step][1]}" in texts
    assert _parts(second.dataset) == _parts(dataset)
    again = undo(second.dataset.hash, workspace=folder / "ws", row=rows["unicode"])  # by the run's own recipe
    assert again.fields["data.undo"] == [*written["undo"], {"row": rows["unicode"]}]
    assert _ledger(again.dataset).height == _ledger(dataset).height - 3


def test_what_cannot_be_taken_back_is_told(planted: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, dataset = planted
    with pytest.raises(DataError, match="Nothing is named"):
        _undo(folder)
    with pytest.raises(DataError, match=r"'unicod' is not among.*Did you mean 'unicode'"):
        _undo(folder, step="unicod")
    with pytest.raises(DataError, match="No edit of a row 'nobody'"):
        _undo(folder, row="nobody")
    with pytest.raises(DataError, match="No edit of the dataset is of that step, row and field"):
        _undo(folder, step="unicode", field="label")
    with pytest.raises(InputError, match=r"No run is called 'elsewhere'"):
        undo("elsewhere", workspace=folder / "ws", step="unicode")
    other = tmp_path / "recipe.yaml"
    other.write_text(
        (folder / "recipe.yaml").read_text(encoding="utf-8").replace("rows.csv", str(folder / "rows.csv"))
        + "seed: 5\n",
        encoding="utf-8",
    )
    before = other.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="seed is not what this dataset was made with"):
        undo(dataset.hash, workspace=folder / "ws", step="unicode", recipe=other)
    assert other.read_text(encoding="utf-8") == before


def test_files_that_changed_are_refused(planted: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, _ = planted
    for name in ("recipe.yaml", "rows.csv"):
        (tmp_path / name).write_text((folder / name).read_text(encoding="utf-8"), encoding="utf-8")
    with start(tmp_path / "recipe.yaml", workspace=tmp_path / "ws", kind="prepare") as job:
        prepare(job)
    with (tmp_path / "rows.csv").open("a", encoding="utf-8") as file:
        file.write("one more,a,2024-01-01\n")
    with pytest.raises(DataError, match="files are not those"):
        undo("planted", workspace=tmp_path / "ws", step="unicode")


def test_datasets_are_found_by_hash_run_name_and_folder(planted: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, dataset = planted
    place = Workspace.open(folder / "ws")
    run = next(
        run for run in place.runs(name="planted") if run.manifest["stages"]["prepare"]["dataset"] == dataset.hash
    )
    for name in (dataset.hash, dataset.hash[:8], run.id, str(dataset.path)):
        assert find_dataset(place, name).hash == dataset.hash


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"undo": [{"field": "text"}]}, "say a step, a row, or both"),
        ({"undo": [{"step": "unicode"}]}, "undo names the step 'unicode', which data.steps has not"),
    ],
)
def test_a_recipe_that_takes_nothing_back_is_refused(data: dict[str, Any], said: str) -> None:
    from tunewright.recipe import recipe_from_mapping

    with pytest.raises(RecipeError, match=said):
        recipe_from_mapping({"name": "r", "goal": "g", "data": {"train": "x.csv", **data}})
