"""What is too much is set aside or refused, and memory stays flat meanwhile."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from tests.data.readers.made import rows_and_faults
from tunewright.base.errors import DataError
from tunewright.data import limits
from tunewright.data.rows import Fault


@pytest.mark.parametrize(
    ("name", "before", "after"), [("a.jsonl", '{"a": 1}\n', '\n{"a": 2}\n'), ("a.csv", "a\n1\n", "\n2\n")]
)
def test_a_huge_line_is_set_aside_in_little_memory(
    tmp_path: Path, name: str, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_LINE_BYTES", 1 << 20)
    path = tmp_path / name
    size = 64 << 20  # a hole in the file: nothing of it lies on the disk
    with path.open("wb") as file:
        file.write(before.encode())
        file.seek(size)
        file.write(after.encode())
    tracemalloc.start()
    rows, faults = rows_and_faults(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [str(row.values["a"]) for row in rows] == ["1", "2"]
    line = before.count("\n") + 1
    assert faults == [Fault(name, line, "this line is longer than 1 MiB; is a line break missing?")]
    assert peak < 4 * limits.MOST_LINE_BYTES < size / 10


def test_a_line_at_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    line = json.dumps({"a": "x"})
    path.write_text(f"{line}\n{line} \n{line}")
    monkeypatch.setattr(limits, "MOST_LINE_BYTES", len(line))
    rows, faults = rows_and_faults(path)
    assert [row.line for row in rows] == [1, 3]
    assert [fault.line for fault in faults] == [2]


@pytest.mark.parametrize("depth", [limits.MOST_NESTED + 1, 1000, 100_000])
def test_json_that_is_nested_too_deep_is_a_fault_of_its_line(tmp_path: Path, depth: int) -> None:
    deep = '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{deep}\n{{"a": 2}}\n')
    rows, (fault,) = rows_and_faults(tmp_path / "a.jsonl")
    assert [row.line for row in rows] == [1, 3]
    assert str(fault).startswith("a.jsonl:2: this is not valid JSON: it is nested too deep")
    (tmp_path / "b.json").write_text(f"[\n{deep}]")
    with pytest.raises(DataError, match="nested too deep"):
        rows_and_faults(tmp_path / "b.json")


def test_json_as_deep_as_is_allowed_is_read(tmp_path: Path) -> None:
    depth = limits.MOST_NESTED
    text = '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + ', "b": [[], [], {"c": "[[[["}]}'
    (tmp_path / "a.jsonl").write_text(text * 1 + "\n" + '{"a": "' + "[" * 500 + '"}\n')
    rows, faults = rows_and_faults(tmp_path / "a.jsonl")
    assert not faults
    assert len(rows) == 2


def test_a_json_document_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('[{"a": 1}]')
    monkeypatch.setattr(limits, "MOST_JSON_BYTES", 9)
    with pytest.raises(DataError, match=r"larger than 9 bytes.*JSONL"):
        rows_and_faults(tmp_path / "a.json")
