"""The ledger as it is read, and texts compared word by word."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.base.errors import DataError
from tunewright.data.dataset import Dataset
from tunewright.data.ledger import Span, StepEdits, compare_datasets, read_ledger, word_diff
from tunewright.data.prepare import prepare
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

ROWS = [(f"message  {number}", "ab"[number % 2]) for number in range(40)]


def _prepared(folder: Path, rows: list[tuple[str, str]], steps: list[Any], **data: Any) -> Dataset:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    given = {
        "train": str(folder / "rows.csv"),
        "template": {"user": "{text}", "assistant": "{label}"},
        "split": {"test": 8, "validation": 4, "minimum_test_rows": 1},
        "steps": steps,
        **data,
    }
    return prepare(recipe_from_mapping({"name": "r", "goal": "g", "data": given}), Workspace.open(folder / "ws"))


def test_edits_are_counted_by_step_and_column(tmp_path: Path) -> None:
    rows = [*ROWS, ("caf\u0065\u0301", "a"), ("message 0", "a"), ("", "b")]
    steps = ["unicode", "whitespace", {"name": "require", "columns": ["text"]}, "exact_duplicates"]
    dataset = _prepared(tmp_path, rows, steps)
    ledger = read_ledger(dataset, limit=5)
    assert ledger.counts == (
        StepEdits("unicode", "text", 1),
        StepEdits("whitespace", "text", 40),
        StepEdits("require", "", 1),
        StepEdits("exact_duplicates", "", 1),
    )
    assert ledger.total == 43
    assert ledger.edits["step"].to_list() == ["unicode", "whitespace", "whitespace", "require", "exact_duplicates"]
    assert ledger.as_json()["edits"][1]["before"].startswith("message  ")
    one = read_ledger(dataset, row=ledger.edits["row_id"][0])
    assert (one.total, one.edits["after"].to_list()) == (1, ["café"])
    assert read_ledger(dataset, step="require").edits["source"].to_list() == ["rows.csv"]
    assert read_ledger(dataset, step="unicode", limit=0).edits.is_empty()
    with pytest.raises(DataError, match=r"'unicorn' is not among.*Did you mean 'unicode'"):
        read_ledger(dataset, step="unicorn")
    with pytest.raises(DataError, match="No edit of a row 'nobody' is on record by the step unicode"):
        read_ledger(dataset, row="nobody", step="unicode")


def test_two_datasets_are_compared_by_their_rows(tmp_path: Path) -> None:
    first = _prepared(tmp_path, ROWS, [])
    assert compare_datasets(first, first).counts == {"changed": 0, "removed": 0, "added": 0, "moved": 0, "same": 40}
    second = _prepared(tmp_path, [*ROWS[:-2], ("new one", "a")], ["whitespace"], parts_of=first.hash)
    found = compare_datasets(first, second, limit=100)
    assert found.counts == {"changed": 38, "removed": 2, "added": 1, "moved": 0, "same": 0}
    by_kind = {what: [each for each in found.changes if each.what == what] for what in found.counts}
    changed = by_kind["changed"][0]
    assert changed.before.replace("  ", " ") == changed.after
    assert changed.before.startswith("user: message  ")
    assert changed.parts[0] == changed.parts[1]
    assert [(each.before, each.after.splitlines()[0]) for each in by_kind["added"]] == [("", "user: new one")]
    assert by_kind["added"][0].parts == ("", "train")
    assert {each.after for each in by_kind["removed"]} == {""}
    assert by_kind["removed"][0].place.startswith("rows.csv:")
    third = _prepared(tmp_path, ROWS, [], split={"test": 20, "validation": 4, "minimum_test_rows": 1})
    moved = compare_datasets(first, third, limit=3)
    assert moved.counts["moved"] >= 12
    assert len(moved.changes) == 3
    assert moved.as_json()["changes"][0]["what"] == "moved"


def test_only_what_differs_is_told() -> None:
    assert word_diff("the red lamp broke!", "the blue lamp broke") == [
        Span("same", "the "),
        Span("gone", "red"),
        Span("new", "blue"),
        Span("same", " lamp broke"),
        Span("gone", "!"),
    ]
    assert word_diff("[sealed:q8-Kb44]", "a text, long enough: by far, and [unlike] it") == [
        Span("gone", "[sealed:q8-Kb44]"),
        Span("new", "a text, long enough: by far, and [unlike] it"),
    ]
    assert word_diff("a", "a") == [Span("same", "a")]
    assert word_diff("", "a") == [Span("new", "a")]
    assert word_diff("a  b", "a b") == [Span("same", "a"), Span("gone", "  "), Span("new", " "), Span("same", "b")]


def test_long_texts_are_compared_by_lines() -> None:
    lines = [f"this is line {number}\n" for number in range(3000)]
    after = [*lines[:1500], "another\n", *lines[1501:]]
    assert [span for span in word_diff("".join(lines), "".join(after)) if span.kind != "same"] == [
        Span("gone", "this is line 1500\n"),
        Span("new", "another\n"),
    ]


words = st.text(alphabet="ab \n,é", max_size=30)


@given(words, words)
def test_the_spans_make_up_both_texts(before: str, after: str) -> None:
    spans = word_diff(before, after)
    assert "".join(span.text for span in spans if span.kind != "new") == before
    assert "".join(span.text for span in spans if span.kind != "gone") == after
