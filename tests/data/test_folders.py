"""Folders as sources: all that can be read, sorted, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.base.events import Event, Message
from tunewright.data.collect import collect
from tunewright.data.folders import find_files, look_into
from tunewright.data.readers import read_rows
from tunewright.recipe import recipe_from_mapping
from tunewright.recipe.schema import Source


def filled(folder: Path) -> Path:
    files = {
        "b.csv": b"a\n1\n",
        "sub/a.jsonl": b'{"a": 2}\n',
        "sub/deeper/notes": b'{"a": 3}\n{"a": 4}\n',
        "a.csv.gz": b"",
        "picture.png": b"\x89PNG\r\n",
        "LICENSE": b"Copyright 2026, the authors\nof this, and that\n",
        "list.urls": b"http://example.org\n",
        ".hidden.csv": b"a\n",
        ".git/rows.csv": b"a\n",
        ".git/other.csv": b"a\n",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_all_that_can_be_read_in_it(tmp_path: Path) -> None:
    inside = look_into(filled(tmp_path))
    names = [path.relative_to(tmp_path).as_posix() for path in inside.files]
    assert names == ["a.csv.gz", "b.csv", "sub/a.jsonl", "sub/deeper/notes"]
    assert inside.hidden == 2
    assert [path.name for path in inside.unknown] == ["LICENSE", "list.urls", "picture.png"]
    (tmp_path / "a.csv.gz").unlink()
    assert find_files(Source(path=str(tmp_path))) == list(inside.files[1:])
    # A glob may name files and folders.
    rows = list(read_rows(Source(path=str(tmp_path / "*b*"))))
    assert [row.line for row in rows] == [2, 1, 1, 2]


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    heard: list[Event] = []
    recipe = recipe_from_mapping(
        {"name": "x", "goal": "y", "data": {"train": str(filled(tmp_path / "rows"))}}, folder=tmp_path
    )
    assert collect(recipe, cache=tmp_path, listener=heard.append) == recipe
    assert heard == [
        Message(
            "rows/: 4 files are read; left out: 2 hidden and 3 of no known kind (LICENSE, list.urls, picture.png).",
            "warning",
        )
    ]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no file that can be read.*\.jsonl"):
        find_files(Source(path=str(tmp_path)))
