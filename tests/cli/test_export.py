"""`tunewright data export` on the command line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import tunewright


def recipe_in(folder: Path) -> Path:
    rows = [{"instruction": f"=ask {n}", "input": "", "output": f"answer {n}"} for n in range(30)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "recipe.yaml"
    path.write_text(
        "name: x\ngoal: y\ndata:\n  train: rows.jsonl\n  split: {validation: 3, test: 5, minimum_test_rows: 1}\n"
    )
    return path


def test_export_of_a_recipe_and_of_a_dataset(tmp_path: Path) -> None:
    recipe, workspace, out = recipe_in(tmp_path), tmp_path / "workspace", tmp_path / "out.csv"
    done = tunewright("data", "export", recipe, "--format", "csv", "-o", out, "--workspace", workspace)
    assert done.code == 0, done.err
    assert f"Wrote 22 rows to {out}" in done.out.replace("\n", " ")
    assert "22 cells begin like a formula" in done.out.replace("\n", " ")
    assert out.read_text().splitlines()[0] == "prompt,completion"
    (stored,) = (place for place in (workspace / "artifacts" / "dataset").iterdir() if place.is_dir())
    command = ["data", "export", stored.name[:10], "--format", "prompt-completion", "--part", "test", "--json"]
    again = tunewright(*command, "-o", tmp_path / "test.jsonl", "--workspace", workspace)
    assert again.code == 0, again.err
    assert again.document["rows"] == 5
    assert again.document["lost"] == {}
    assert set(json.loads((tmp_path / "test.jsonl").read_text().splitlines()[0])) == {"prompt", "completion"}


def test_rows_of_a_database_go_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNEWRIGHT_CACHE", raising=False)
    with sqlite3.connect(tmp_path / "desk.db") as base:
        base.execute("CREATE TABLE ticket (prompt TEXT, completion TEXT)")
        base.executemany("INSERT INTO ticket VALUES (?, ?)", [(f"ask {n}", f"answer {n}") for n in range(30)])
    base.close()
    recipe = recipe_in(tmp_path)
    source = 'train: {path: "sqlite:///desk.db", query: "SELECT * FROM ticket"}'
    recipe.write_text(recipe.read_text().replace("train: rows.jsonl", source))
    done = tunewright("data", "export", recipe, "-o", tmp_path / "out", "--workspace", tmp_path / "workspace", "--json")
    assert done.code == 0, done.err
    assert done.document["rows"] == 22
    (found,) = (tmp_path / "workspace" / "cache" / "collected").rglob("desk.db")
    assert found.read_text().startswith('{"tunewright": "collected rows"}')


def test_wrong_input_exits_with_2_and_writes_nothing(tmp_path: Path) -> None:
    recipe, workspace, out = recipe_in(tmp_path), tmp_path / "workspace", tmp_path / "out"
    for arguments, told in (
        (["--format", "alpacca"], "Did you mean 'alpaca'"),
        (["--format", "preference"], "do not fit the format 'preference'"),
        (["--part", "tran"], "is no part of this dataset"),
    ):
        done = tunewright("data", "export", recipe, *arguments, "-o", out, "--workspace", workspace)
        assert done.code == 2
        assert told in done.err.replace("\n", " ")
        assert not out.exists()
    out.write_text("mine")
    done = tunewright("data", "export", recipe, "-o", out, "--workspace", workspace)
    assert (done.code, out.read_text()) == (2, "mine")
    assert "exists already" in done.err
    assert tunewright("data", "export", recipe, "-o", out, "--workspace", workspace, "--force").code == 0
    assert tunewright("data", "export", "0123", "-o", tmp_path / "x", "--workspace", workspace).code == 2
