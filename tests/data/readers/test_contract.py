"""What every reader keeps: it knows its files by content, gives the columns it names, and the same rows each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.data.readers.made import MAILBOX, PAGE, paragraph, rows_and_faults, write_docx, write_pdf, write_xlsx
from tunewright.base.plugins import READERS
from tunewright.data.collected import write_collected
from tunewright.data.readers import columns_of, sniff
from tunewright.data.rows import Row


def written(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


MADE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "collected": ("x", lambda path: write_collected(path, [Row({"a": 1}, "x", 7)])),
    "csv": ("x.csv", written("a,b\n1,2\n")),
    "docx": ("x", lambda path: write_docx(path, paragraph("Some text."))),
    "email": ("x", written(MAILBOX)),
    "excel": ("x", lambda path: write_xlsx(path, [["a", "b"], [1, "two"]])),
    "html": ("x", written(PAGE)),
    "json": ("x.json", written('[{"a": 1}]')),
    "jsonl": ("x", written('{"a": 1}\n{"a": 2}\n')),
    "markdown": ("x.md", written("# Title\n\nSome text.\n")),
    "parquet": ("x", lambda path: pl.DataFrame({"a": [1]}).write_parquet(path)),
    "pdf": ("x", lambda path: write_pdf(path, ["Some text"])),
    "text": ("x.txt", written("Some text.\n")),
    "tsv": ("x", written("a\tb\n1\t2\n")),
}


def test_every_reader_is_here() -> None:
    assert set(MADE) == set(READERS.names())


@pytest.mark.parametrize("kind", MADE)
def test_reader_contract(kind: str, tmp_path: Path) -> None:
    name, make = MADE[kind]
    path = tmp_path / name
    make(path)
    assert sniff(path) == kind
    rows, faults = rows_and_faults(path)
    assert rows
    assert not faults
    assert {row.file for row in rows} == {name}
    assert all(row.line >= 1 for row in rows)
    assert list(rows[0].values) == columns_of(path)
    assert rows_and_faults(path, name="other")[0] == [Row(row.values, "other", row.line) for row in rows]
    reader = READERS.module(kind)
    if reader.BINARY:
        # What is no plain text has a mark of its own, and is known under any name.
        assert sniff(path.rename(tmp_path / "y.csv")) == kind
