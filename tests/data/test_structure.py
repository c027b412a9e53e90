"""Encodings of whole files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.readers.made import rows_and_faults
from tunewright.base.errors import DataError
from tunewright.data.readers import sniff

GERMAN = "text,label\n" + "".join(f"Grüße {n},schön\n" for n in range(5))


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("latin-1", "Latin-1 or Windows-1252.*iconv -f WINDOWS-1252"),
        ("utf-16", "UTF-16, and not UTF-8"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
    ],
)
def test_a_file_in_another_encoding_is_told_as_a_whole(tmp_path: Path, encoding: str, told: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(GERMAN.encode(encoding))
    with pytest.raises(DataError, match=told):
        sniff(path)


def test_single_lines_in_another_encoding_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(GERMAN.encode() + "Größe,x\n".encode("latin-1") + b"nul\0l,x\nlast,x\n")
    rows, faults = rows_and_faults(path)
    assert len(rows) == 6
    assert [fault.line for fault in faults] == [7, 8]


def test_a_letter_cut_by_the_end_of_the_head_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("text\n" + "ü" * 70_000 + "\nx\n").encode())
    assert sniff(path) == "csv"
