"""Files that grow line by line, whatever happens to them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError, DiskFullError
from tunewright.base.lines import Lines, read_lines

TAKEN = DataError("taken")


def _parse(line: bytes, where: str) -> str:
    try:
        return str(json.loads(line)["said"])
    except (ValueError, KeyError) as error:
        raise DataError("nonsense", where=where) from error


def _open(path: Path) -> Lines[str]:
    return Lines.open(path, _parse, taken=TAKEN)


TEXTS = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20), max_size=6)


@settings(max_examples=25)
@given(said=TEXTS, cut=st.integers(0, 200))
def test_whole_lines_survive_any_cut(said: list[str], cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "said.jsonl"
    with _open(path) as lines:
        for each in said:
            lines.add(each, {"said": each})
    assert read_lines(path, _parse) == said
    os.truncate(path, min(cut, path.stat().st_size))
    whole = read_lines(path, _parse)
    assert whole == said[: len(whole)]
    with _open(path) as lines:
        assert lines.values == whole
        lines.add("more", {"said": "more"})
        assert lines.take_back() == "more"
    assert read_lines(path, _parse) == whole


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "said.jsonl"
    with _open(path) as lines:
        with pytest.raises(DataError, match="taken"):
            _open(path)
        assert lines.take_back() is None
    _open(path).close()


def test_faults_name_the_line_and_lock_nothing(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    path.write_text('{"said": "a"}\n{"other": 1}\n', "utf-8")
    for _ in range(2):
        with pytest.raises(DataError, match=r"said\.jsonl:2: nonsense"):
            _open(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(tmp_path, _parse)


def test_what_a_full_disk_refuses_is_not_written_later(small_disk: Path) -> None:
    path = small_disk / "said.jsonl"
    with _open(path) as lines:
        lines.add("small", {"said": "small"})
        with pytest.raises(DiskFullError):
            lines.add("big", {"said": "x" * (2 << 20)})
        lines.add("after", {"said": "after"})
        assert read_lines(path, _parse) == lines.values == ["small", "after"]
