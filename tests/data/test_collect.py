"""Sources that lie elsewhere become files with stable names, and recipes with wrong ones are refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.data.collecting.site import site
from tests.data.readers.made import rows_and_faults
from tunewright.base.errors import DataError, RecipeError
from tunewright.base.events import Event, Stage
from tunewright.data import collect as collecting
from tunewright.data.collect import collect
from tunewright.data.collected import write_collected
from tunewright.data.collecting import web
from tunewright.data.prepare import prepare
from tunewright.data.readers import find_files, read_rows
from tunewright.data.rows import Row
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace


def recipe_of(folder: Path, train: Any, **more: Any) -> Recipe:
    split = {"validation": 2, "test": 3, "minimum_test_rows": 1}
    return recipe_from_mapping(
        {"name": "x", "goal": "y", "data": {"train": train, "split": split, **more}}, folder=folder
    )


def make_database(path: Path, rows: int) -> None:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE IF NOT EXISTS ticket (prompt TEXT, completion TEXT)")
        base.execute("DELETE FROM ticket")
        base.executemany("INSERT INTO ticket VALUES (?, ?)", [(f"question {n}", f"answer {n}") for n in range(rows)])
    base.close()


def test_a_database_becomes_a_dataset_with_the_same_hash_each_time(tmp_path: Path) -> None:
    make_database(tmp_path / "tickets.db", 20)
    # Relative to the recipe, as any path is.
    recipe = recipe_of(tmp_path, {"path": "sqlite:///tickets.db", "query": "SELECT * FROM ticket ORDER BY rowid"})
    with pytest.raises(DataError, match="is no file, and is not collected yet"):
        find_files(recipe.data.train[0])
    datasets = []
    for place in ("one", "two"):
        workspace = Workspace.open(tmp_path / place)
        here = collect(recipe, cache=workspace.cache)
        assert not here.data.train[0].is_elsewhere
        datasets.append(prepare(here, workspace))
    assert datasets[0].hash == datasets[1].hash
    example = datasets[0].examples("train")[0]
    assert example.source == "tickets.db"
    assert example.prompt[0].content == f"question {example.line - 1}"


def test_what_changed_elsewhere_is_collected_again(tmp_path: Path) -> None:
    make_database(tmp_path / "tickets.db", 3)
    recipe = recipe_of(tmp_path, {"path": "sqlite:///tickets.db", "query": "SELECT * FROM ticket"})
    for rows in (3, 5):
        make_database(tmp_path / "tickets.db", rows)
        (source,) = collect(recipe, cache=tmp_path / "cache").data.train
        assert [row.line for row in read_rows(source)] == list(range(1, rows + 1))
    make_database(tmp_path / "tickets.db", 0)
    with pytest.raises(DataError, match="answer has no rows"):
        collect(recipe, cache=tmp_path / "cache")


def test_raw_bytes_in_an_answer_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    make_database(tmp_path / "t.db", 1)
    recipe = recipe_of(tmp_path, {"path": "sqlite:///t.db", "query": "SELECT x'00ff' AS prompt FROM ticket"})
    with pytest.raises(DataError, match="raw bytes"):
        collect(recipe, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_text_that_is_no_utf8_and_json_too_deep_cost_their_rows(tmp_path: Path) -> None:
    make_database(tmp_path / "t.db", 1)
    query = "SELECT CAST(x'6eff' AS TEXT) AS prompt UNION ALL SELECT 'good'"
    (source,) = collect(recipe_of(tmp_path, {"path": "sqlite:///t.db", "query": query}), cache=tmp_path).data.train
    first, second = read_rows(source)
    assert "half of a surrogate pair" in str(first)
    assert second == Row({"prompt": "good"}, "t.db", 2)
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    write_collected(tmp_path / "deep", [Row({"a": deep}, "x", 1), Row({"a": float("nan")}, "x", 2)])
    rows, (fault,) = rows_and_faults(tmp_path / "deep")
    assert "nested too deep" in str(fault)
    assert rows[0].values == {"a": None}


def test_stores_and_renamed_columns(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/shelf/rows.jsonl", b'{"q": "a", "r": "b"}\n')
    heard: list[Event] = []
    train = {"path": "memory://shelf/*.jsonl", "columns": {"prompt": "q"}}
    (source,) = collect(recipe_of(tmp_path, train), cache=tmp_path, listener=heard.append).data.train
    assert list(read_rows(source)) == [Row({"prompt": "a"}, "rows.jsonl", 1)]
    assert heard[-1] == Stage("data", "progress", 21, 21, "bytes", "collecting memory://shelf/*.jsonl")
    system.rm("/shelf", recursive=True)


def test_a_file_on_the_web_is_downloaded_and_this_machine_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site({"/rows.csv?token=s3cret": (200, {}, b"prompt,completion\na,b\n")}) as (address, asked):
        recipe = recipe_of(tmp_path, f"{address}/rows.csv?token=${{TOKEN}}")
        monkeypatch.setenv("TOKEN", "s3cret")
        with pytest.raises(DataError, match=r"127.0.0.1 is no public address") as caught:
            collect(recipe, cache=tmp_path)
        assert "s3cret" not in str(caught.value)
        assert not asked
        real = web.Web
        monkeypatch.setattr(web, "Web", lambda: real(allowed=("127.0.0.1",), pause_s=0))
        (source,) = collect(recipe, cache=tmp_path).data.train
        assert Path(source.path).name == "rows.csv"
        assert [row.line for row in read_rows(source)] == [2]


def test_pages_that_cannot_be_read_are_refused_rows(tmp_path: Path) -> None:
    (tmp_path / "list.urls").write_text("http://127.0.0.1/x\n\nfile:///etc/passwd\n")
    (source,) = collect(recipe_of(tmp_path, "list.urls"), cache=tmp_path / "cache").data.train
    assert [str(fault) for fault in read_rows(source)] == [
        "list.urls.rows:1: http://127.0.0.1/x: robots.txt cannot be read: 127.0.0.1 is no public address",
        "list.urls.rows:3: file:///etc/passwd: this is no http:// or https:// address",
    ]


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ({"path": "rows.csv", "query": "SELECT 1"}, "query asks a database, and path is a file"),
        ("sqlite:///a.db", "path is a database, and query is missing"),
        ({"path": "postgresql://u:hunter2@h/x", "query": "SELECT 1"}, r"path holds a password.*\$\{ITS_NAME\}"),
        ("file:///etc/passwd", "write a file's path without file://"),
    ],
)
def test_wrong_places_are_refused_in_the_recipe(tmp_path: Path, train: Any, told: str) -> None:
    with pytest.raises(RecipeError, match=told) as caught:
        recipe_of(tmp_path, train)
    assert "hunter2" not in str(caught.value)
    assert "at least 1 item" not in str(caught.value)


def test_names_of_files_are_safe() -> None:
    for name, safe in {"../../x y.csv": "x-y.csv", "..": "otherwise", ".hidden": "hidden", "ü.csv": "ü.csv"}.items():
        assert collecting._file_name(name, "otherwise") == safe
