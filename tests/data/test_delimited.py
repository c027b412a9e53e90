"""CSV and TSV: true line numbers, and recovery from what is broken."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError
from tunewright.data.datafile import DataFile
from tunewright.data.delimited import read_delimited
from tunewright.data.rows import Fault, Row


def _read(path: Path, content: bytes | str, usual: str = ",") -> list[Row | Fault]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_delimited(DataFile(path, "rows.csv"), usual=usual))


def test_line_numbers_count_quoted_line_breaks(tmp_path: Path) -> None:
    rows = _read(tmp_path / "f", 'text,label\n"one\ntwo\nthree",a\n\nfour,b\n')
    assert rows == [
        Row({"text": "one\ntwo\nthree", "label": "a"}, "rows.csv", 2),
        Row({"text": "four", "label": "b"}, "rows.csv", 6),
    ]


def test_ragged_rows_are_faults_and_reading_goes_on(tmp_path: Path) -> None:
    rows = _read(tmp_path / "f", "text,label\none,a\ntwo\nthree,b,c\nfour,d\n")
    assert [row.line for row in rows] == [2, 3, 4, 5]
    assert [str(row) for row in rows if isinstance(row, Fault)] == [
        "rows.csv:3: 1 cells where the header has 2",
        "rows.csv:4: 3 cells where the header has 2",
    ]


def test_a_quote_left_open_costs_one_row_only(tmp_path: Path) -> None:
    rows = _read(tmp_path / "f", 'text,label\none,a\n"two,b\nthree,c\nfour,d\n')
    assert [type(row).__name__ for row in rows] == ["Row", "Fault", "Row", "Row"]
    assert isinstance(rows[1], Fault)
    assert (rows[1].line, rows[1].reason) == (3, "a quote is opened here and never closed")


def test_two_stray_quotes_do_not_swallow_what_is_between(tmp_path: Path) -> None:
    rows = _read(tmp_path / "f", 'text,label\n"one,a\ntwo,b\n"three,c\nfour,d\n')
    assert [(type(row).__name__, row.line) for row in rows] == [("Fault", 2), ("Row", 3), ("Fault", 4), ("Row", 5)]


def test_wrong_bytes_spoil_their_line_only(tmp_path: Path) -> None:
    rows = _read(tmp_path / "f", b"text,label\nna\xefve,a\nfine,b\nnu\x00l,c\n")
    assert rows[1] == Row({"text": "fine", "label": "b"}, "rows.csv", 3)
    faults = [row for row in rows if isinstance(row, Fault)]
    assert faults[0].line == 2
    assert "0xEF at position 3 is not UTF-8" in faults[0].reason
    assert faults[1] == Fault("rows.csv", 4, "the line holds a NUL byte")


def test_delimiter_and_byte_order_mark_are_recognised(tmp_path: Path) -> None:
    rows = _read(tmp_path / "f", "\ufefftext;label\none, two;a\n".encode())
    assert rows == [Row({"text": "one, two", "label": "a"}, "rows.csv", 2)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a,b,a\n1,2,3\n", "column 'a' stands in the header 2 times"),
        (b"t\xe9xt,b\n1,2\n", r":1: The header cannot be read: byte 0xE9"),
        ("\na,b\n", "first line is empty"),
    ],
)
def test_wrong_headers(tmp_path: Path, content: bytes | str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        _read(tmp_path / "f", content)


cell = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(cell, cell), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("first", "second"), *rows])
    read = _read(tmp_path_factory.mktemp("csv") / "f", text.getvalue())
    assert [tuple(row.values.values()) for row in read if isinstance(row, Row)] == rows
