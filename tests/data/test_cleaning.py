"""Planted faults of each kind, through a recipe: found, repaired, on record, and gone for good."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl
import pytest

from tunewright.base.errors import DataError
from tunewright.data.prepare import prepare
from tunewright.recipe import load_recipe
from tunewright.store import Workspace

RECIPE = """
name: desk
goal: g
data:
  train: rows.csv
  template: {user: "{body} ({received}, {amount}, {weight})", assistant: "{label}"}
  split: {test: 10, validation: 10, minimum_test_rows: 1}
  max_unusable_share: 0.5
  answer: text
  steps:
    - unicode
    - {name: markup, columns: [body]}
    - {name: boilerplate, columns: [body]}
    - {name: missing_values, columns: [label], then: drop}
    - {name: iso_dates, columns: [received]}
    - {name: numbers, columns: [amount]}
    - {name: units, columns: [weight], convert: {lb: kg}}
    - {name: glossary, file: terms/glossary.yaml, columns: [body]}
    - {name: spelling, columns: [body], glossary: terms/glossary.yaml}
    - {name: quality, columns: [body]}
    - {name: language, columns: [body]}
    - {name: length, columns: [body], least_words: 3}
    - {name: contradictions, columns: [body], answer: [label]}
"""
# What is planted in a row: body, received, amount, weight, label; and what becomes of it, or the step that drops it.
GOOD = ("please send me the invoice of order {} once more", "{}/03/2024", "{},5", "2 kg", "invoice")
PLANTED: list[tuple[dict[int, str], dict[int, str] | str]] = [
    ({0: "please bring it Ã¼ber to the cafe\u0301 for me"}, {0: "please bring it über to the café for me"}),
    ({0: "<p>please help me &amp; call <b>soon</b></p>"}, {0: "please help me & call soon"}),
    ({0: "please call me on the phone\nSent from my iPhone"}, {0: "please call me on the phone"}),
    ({4: "n/a"}, "missing_values"),
    ({1: "03/04/2024"}, {1: "2024-04-03"}),
    ({1: "soon"}, "iso_dates"),
    ({2: "1.234,5"}, {2: "1234.5"}),
    ({2: "1,234"}, {2: "1.234"}),
    ({2: "many"}, "numbers"),
    ({3: "10 lbs"}, {3: "4.54 kg"}),
    ({0: "please help me with the postgres of ours"}, {0: "please help me with the PostgreSQL of ours"}),
    ({0: "plaese send me the invioce of the other order"}, {0: "please send me the invoice of the other order"}),
    ({0: "ich habe meine Rechnung leider immer noch nicht von Ihnen bekommen"}, "language"),
    ({0: "why though"}, "length"),
    ({0: "qxzv kjhgf wrtzx vbnmq kjhgfd xcvbq sdfkjh"}, "quality"),
    ({0: "please send me the invoice of order 3 once more", 4: "delivery"}, "contradictions"),
]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "terms").mkdir()
    (tmp_path / "terms" / "glossary.yaml").write_text("PostgreSQL: [postgres]\n")
    rows = [
        [cell.format(13 + index % 15 if place == 1 else index) for place, cell in enumerate(GOOD)]
        for index in range(60)
    ]
    # The majority of three.
    rows.append([*rows[3]])
    for changes, _ in PLANTED:
        rows.append(
            [
                changes.get(place, cell.format(13 + len(rows) % 15 if place == 1 else len(rows)))
                for place, cell in enumerate(GOOD)
            ]
        )
    _write(tmp_path / "rows.csv", rows)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "received", "amount", "weight", "label"])
        writer.writerows(rows)


def test_each_fault_is_found_repaired_and_on_record(recipe: Path, tmp_path: Path) -> None:
    dataset = prepare(load_recipe(recipe), Workspace.open(tmp_path / "ws"))
    examples = {row.line: row for part in ("train", "validation", "test") for row in dataset.examples(part)}  # type: ignore[arg-type]
    edits = pl.read_parquet(dataset.path / "edits.parquet")
    # A cell of two lines takes two lines of the file.
    lines = {
        row: int(line) for row, line in edits.filter(pl.col("line") > 62).select("row_id", "line").unique().iter_rows()
    }
    at = 63
    for changes, outcome in PLANTED:
        own = edits.filter(pl.col("row_id").is_in([row for row, line in lines.items() if line == at]))
        if isinstance(outcome, str):
            assert own.filter(pl.col("field").is_null())["step"].to_list() == [outcome], (changes, own)
            assert at not in examples
        else:
            told = examples[at].prompt[0].content
            assert all(cell in told for cell in outcome.values()), told
            # From the last to the first the edits lead back to what was read.
            for place, before in changes.items():
                name = ["body", "received", "amount", "weight", "label"][place]
                assert own.filter(pl.col("field") == name)["before"][0] == before
        at += 1 + sum(cell.count("\n") for cell in changes.values())


def test_what_comes_out_is_clean(recipe: Path, tmp_path: Path) -> None:
    prepare(load_recipe(recipe), Workspace.open(tmp_path / "ws"))
    rows = [["please send me the invoice of order 7 once more", "2024-03-05", "1234.5", "2 kg", "invoice"]]
    rows += [
        [f"please send me the invoice number {index}", "2024-04-03", "1.5", "4.54 kg", "invoice"] for index in range(40)
    ]
    _write(tmp_path / "rows.csv", rows)
    dataset = prepare(load_recipe(recipe), Workspace.open(tmp_path / "ws"))
    assert dataset.manifest["edit_count"] == 0


def test_paths_in_steps_are_relative_to_the_recipe(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    loaded = load_recipe(recipe)
    assert loaded.data.steps[7].model_dump()["file"] == str(tmp_path / "terms" / "glossary.yaml")
    (tmp_path / "terms" / "glossary.yaml").unlink()
    with pytest.raises(DataError, match=r"glossary.yaml: This glossary cannot be read"):
        prepare(loaded, Workspace.open(tmp_path / "ws"))
