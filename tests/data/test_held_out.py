"""Rows held out by group and by time: what belongs together stays together, and nothing newer is learned."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError
from tunewright.data.dataset import PARTS, Dataset
from tunewright.data.held_out import newest, read_times, together
from tunewright.data.prepare import prepare
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace


def _keys(*names: str) -> Any:
    return np.array(names, dtype=np.bytes_)


def test_rows_are_tied_by_text_and_by_group() -> None:
    # b ties its two groups together, and so everything but e.
    found = together(_keys("d", "b", "b", "c", "e"), ["one", "one", "two", "two", None])
    assert found.tolist() == [b"b", b"b", b"b", b"b", b"e"]


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 5))), min_size=1, max_size=40))
@settings(deadline=None)
def test_tied_rows_have_one_name_and_others_have_not(rows: list[tuple[int, int | None]]) -> None:
    keys = _keys(*(f"{key:02}" for key, _ in rows))
    found = together(keys, [None if group is None else str(group) for _, group in rows])
    names = {key: {key} for key, _ in rows}  # the slow way: sets of keys that grow together
    for _ in rows:
        for key, group in rows:
            for other, its in rows:
                if group is not None and group == its:
                    joined = names[key] | names[other]
                    for member in joined:
                        names[member] = joined
    assert found.tolist() == [f"{min(names[key]):02}".encode() for key, _ in rows]


def test_the_newest_rows_are_held_out_and_clusters_count_as_their_newest() -> None:
    clusters, times = np.array([0, 1, 2, 3, 1, 4]), np.array([5.0, 1.0, 3.0, 4.0, 6.0, 2.0])
    # By their newest rows: cluster 1 (6), 0 (5), 3 (4), 2 (3), 4 (2). The first part wants one row, and gets two.
    assert newest(clusters, times, [1, 2]).tolist() == [2, 1, 0, 2, 1, 0]
    assert newest(clusters, times, [0, 1]).tolist() == [0, 2, 0, 0, 2, 0]


def test_times_are_dates_or_numbers() -> None:
    found = read_times(["1970-01-02", "1970-01-01T01:00:00+01:00", " 7.5 "], ["a", "b", "c"], column="when")
    assert found.tolist() == [86400.0, 0.0, 7.5]
    with pytest.raises(DataError, match="2 of 3 rows have neither") as caught:
        read_times([None, "soon", "3"], ["a.csv:2", "a.csv:3", "a.csv:4"], column="when")
    assert "a.csv:3: 'soon'" in str(caught.value)
    assert "iso_dates" in str(caught.value)


def _recipe(folder: Path, rows: list[tuple[str, ...]], by: dict[str, str], **changes: Any) -> Recipe:
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label", "who", "when"), *rows])
    split = {"test": 0.2, "validation": 0.2, "minimum_test_rows": 1, "by": by}
    data = {
        "train": str(folder / "a.csv"),
        "split": split,
        "template": {"user": "{text}", "assistant": "{label}"},
        **changes,
    }
    return recipe_from_mapping({"name": "r", "goal": "g", "data": data})


def _lines(dataset: Dataset, part: Any) -> set[int]:
    return {example.line for example in dataset.examples(part)}


def test_a_group_stays_on_one_side(tmp_path: Path) -> None:
    rows = [(f"text {n}", "xy"[n % 2], f"customer {n % 17}", "") for n in range(100)]
    rows.append(("Text  3", "x", "customer 5", ""))  # ties two customers together
    dataset = prepare(_recipe(tmp_path, rows, {"group": "who"}), Workspace.open(tmp_path / "w"))
    sides: dict[str, set[str]] = {}
    for part in PARTS:
        for line in _lines(dataset, part):
            sides.setdefault(rows[line - 2][2], set()).add(part)
    assert all(len(parts) == 1 for parts in sides.values())
    assert sides["customer 3"] == sides["customer 5"]
    assert {part for parts in sides.values() for part in parts} == set(PARTS)
    assert "with one 'who' together" in dataset.manifest["split_note"]
    assert "split_by" not in dataset.table("train").columns


def test_by_time_nothing_newer_than_a_held_out_row_is_learned(tmp_path: Path) -> None:
    days = [(n * 37) % 100 for n in range(100)]
    rows = [(f"text {n}", "xy"[n % 2], "", f"2024-{1 + day // 28:02}-{1 + day % 28:02}") for n, day in enumerate(days)]
    dataset = prepare(_recipe(tmp_path, rows, {"time": "when"}), Workspace.open(tmp_path / "w"))
    when = {part: sorted(days[line - 2] for line in _lines(dataset, part)) for part in PARTS}
    assert when["test"] == list(range(80, 100))
    assert when["validation"] == list(range(60, 80))
    assert when["train"] == list(range(60))
    assert "the newest by 'when'" in dataset.manifest["split_note"]


def test_a_date_that_a_step_mends_is_read_after_it(tmp_path: Path) -> None:
    rows = [(f"text {n}", "xy"[n % 2], "", f"{1 + n % 28}.{1 + n // 28}.2024") for n in range(100)]
    recipe = _recipe(
        tmp_path, rows, {"time": "when"}, steps=[{"name": "iso_dates", "columns": ["when"], "order": "dmy"}]
    )
    dataset = prepare(recipe, Workspace.open(tmp_path / "w"))
    assert _lines(dataset, "test") == set(range(82, 102))


def test_rows_without_a_time_are_refused_and_named(tmp_path: Path) -> None:
    rows = [(f"text {n}", "xy"[n % 2], "", "" if n == 7 else "2024-01-01") for n in range(20)]
    with pytest.raises(DataError, match=r"1 of 20 rows have neither a date nor a number in 'when'"):
        prepare(_recipe(tmp_path, rows, {"time": "when"}), Workspace.open(tmp_path / "w"))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    rows = [(f"text {n}", "xy"[n % 2], "", "") for n in range(20)]
    with pytest.raises(DataError, match="The column 'whos' is not there") as caught:
        prepare(_recipe(tmp_path, rows, {"group": "whos"}), Workspace.open(tmp_path / "w"))
    assert "data.split.by names it" in str(caught.value)


def test_cells_that_are_no_whole_message_are_kept_for_rows_held_out(tmp_path: Path) -> None:
    lines = ["text,label,place,day"] + [f"word {row},{'ab'[row % 2]},{'NS'[row % 2]},{row}" for row in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = recipe_from_mapping(
        {
            "name": "cells",
            "goal": "Keep cells.",
            "data": {
                "train": str(tmp_path / "rows.csv"),
                "template": {"user": "On {day}: {text}", "assistant": "{label}"},
                "split": {"validation": 2, "test": 8, "minimum_test_rows": 2},
            },
            "evaluate": {"slices": ["class", "place"]},
        }
    )
    dataset = prepare(recipe, Workspace.open(tmp_path / "ws"))
    for example in dataset.examples("test"):
        number = example.columns["day"]
        # The label is the whole answer, and is not kept twice.
        assert example.columns == {"day": number, "text": f"word {number}", "place": "NS"[int(number) % 2]}
    assert all(example.columns == {} for example in dataset.examples("train"))
    wrong = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"slices": ("plce",)})})
    with pytest.raises(DataError, match="Did you mean 'place'"):
        prepare(wrong, Workspace.open(tmp_path / "ws"))
