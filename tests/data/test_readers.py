"""Files of every kind, by their content; faults with their lines; columns that are not there."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tunewright.base.errors import DataError
from tunewright.data.readers import check_columns, columns_of, read_file, read_rows, short_names, sniff
from tunewright.data.rows import Fault, Row
from tunewright.recipe.schema import Source


def _file(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.json", '[{"a": 1}]', "json"),
        ("a.jsonl", '[\n {"a": 1}\n]', "json"),
        ("a.json", '{"rows": [{"a": 1}]}', "json"),
        ("a.json", '{\n "rows": [\n {"a": 1}\n]}', "json"),
        ("a.jsonl", '{"a": 1\n{"a": 2}\n{"a": 3}\n', "jsonl"),
        ("a.csv", "a,b\n1,2\n", "csv"),
        ("a.json", "a,b\n1,2\n", "csv"),
        ("a.csv", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.csv", "[id],text\n1,2\n", "csv"),
        ("a.txt", "a\tb\n1\t2\n", "tsv"),
        ("a.csv", b"PAR1....", "parquet"),
    ],
)
def test_sniff_goes_by_content(tmp_path: Path, name: str, content: str | bytes, kind: str) -> None:
    assert sniff(_file(tmp_path / name, content)) == kind


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x1f\x8b\x08", "compressed file breaks off"),
        (b"PK\x03\x04", "ZIP archive is damaged"),
        (b"\xd0\xcf\x11\xe0", "old Excel or Word"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
        (b"a,b\r1,2\r", "lone carriage return"),
        (b"just words", "not recognised"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        sniff(_file(tmp_path / "a", content))


def test_broken_line_417_is_a_fault_of_that_line(tmp_path: Path) -> None:
    lines = [json.dumps({"a": index}) for index in range(1, 501)]
    lines[416] = '{"a": 417'
    rows = list(read_file(_file(tmp_path / "a.jsonl", "\n".join(lines))))
    faults = [row for row in rows if isinstance(row, Fault)]
    assert len(rows) == 500
    assert [(fault.file, fault.line) for fault in faults] == [("a.jsonl", 417)]
    assert "not valid JSON" in faults[0].reason


def test_faults_of_jsonl(tmp_path: Path) -> None:
    content = b'{"a": "\xe9"}\n[1]\n\n{"a": "\\ud800"}\n{"a": "\x00"}\n{"a": NaN}\n'
    rows = list(read_file(_file(tmp_path / "a.jsonl", content)))
    assert [row.line for row in rows] == [1, 2, 4, 5, 6]
    reasons = [row.reason for row in rows if isinstance(row, Fault)]
    for reason, part in zip(reasons, ("0xE9", "a list", "surrogate", "NUL"), strict=True):
        assert part in reason
    assert rows[-1] == Row({"a": None}, "a.jsonl", 6)


def test_json_documents(tmp_path: Path) -> None:
    assert list(read_file(_file(tmp_path / "a.json", '[{"a": 1}, 2]'))) == [
        Row({"a": 1}, "a.json", 1),
        Fault("a.json", 2, "this is a single value, and not a JSON object"),
    ]
    with pytest.raises(DataError, match=r"a\.json:2: This is not valid JSON"):
        list(read_file(_file(tmp_path / "a.json", '[{"a": 1},\n{"a": }]')))
    with pytest.raises(DataError, match="lists under x, y"):
        list(read_file(_file(tmp_path / "a.json", '{"x": [{}], "y": [{}]}')))


def test_parquet_rows_are_counted_from_one(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["x", None], "n": [[1], [2, 3]]}).write_parquet(tmp_path / "a.parquet")
    assert list(read_file(tmp_path / "a.parquet")) == [
        Row({"a": "x", "n": [1]}, "a.parquet", 1),
        Row({"a": None, "n": [2, 3]}, "a.parquet", 2),
    ]
    assert columns_of(tmp_path / "a.parquet") == ["a", "n"]
    whole = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(DataError, match="Parquet file cannot be read"):
        list(read_file(_file(tmp_path / "b.parquet", whole[:-20])))


def test_columns_are_renamed_by_path(tmp_path: Path) -> None:
    file = _file(tmp_path / "a.jsonl", '{"ticket": {"tags": ["x", "y"]}, "m": [{"c": "hi"}]}\n')
    source = Source(path=str(file), columns={"tag": "ticket.tags[-1]", "text": "m[0].c"})
    assert list(read_rows(source)) == [Row({"tag": "y", "text": "hi"}, "a.jsonl", 1)]


def test_globs_read_all_files_in_order(tmp_path: Path) -> None:
    _file(tmp_path / "b.csv", "a\n2\n")
    _file(tmp_path / "a.csv", "a\n1\n")
    rows = list(read_rows(Source(path=str(tmp_path / "*.csv"))))
    assert [(row.file, row.line, row.values["a"]) for row in rows if isinstance(row, Row)] == [
        ("a.csv", 2, "1"),
        ("b.csv", 2, "2"),
    ]


def test_missing_files_and_folders(tmp_path: Path) -> None:
    _file(tmp_path / "train.csv", "a\n1\n")
    with pytest.raises(DataError, match=r"does not exist.*Did you mean '.*train\.csv'"):
        list(read_rows(Source(path=str(tmp_path / "trian.csv"))))
    with pytest.raises(DataError, match="has no rows"):
        list(read_rows(Source(path=str(_file(tmp_path / "e.csv", "a,b\n")))))


def test_a_missing_column_is_named_with_what_it_may_have_meant(tmp_path: Path) -> None:
    source = Source(path=str(_file(tmp_path / "a.csv", "text,category\nx,y\n")))
    with pytest.raises(DataError, match=r"'catgory' is not there.*Did you mean 'category'\? Columns: text, category"):
        check_columns(source, ["text", "catgory"])
    renamed = Source(path=source.path, columns={"message": "txet"})
    with pytest.raises(DataError, match="Did you mean 'text'"):
        check_columns(renamed)


def test_a_key_that_only_late_rows_have_is_there(tmp_path: Path) -> None:
    lines = ['{"a": 1}'] * 1500 + ['{"a": 1, "late": {"x": 2}}']
    source = Source(path=str(_file(tmp_path / "a.jsonl", "\n".join(lines))))
    check_columns(source, ["late", "late.x"])
    with pytest.raises(DataError, match="Columns: a, late"):
        check_columns(source, ["later"])


def test_equal_file_names_are_told_apart_by_their_folders() -> None:
    files = [Path("/x/train/a.csv"), Path("/x/test/a.csv"), Path("/x/b.csv")]
    assert short_names(files) == {files[0]: "train/a.csv", files[1]: "test/a.csv", files[2]: "b.csv"}
