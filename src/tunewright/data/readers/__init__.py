"""From files to raw rows, whatever kind of file it is. One file in this folder reads one kind.

What a file is, is decided by its content; its suffix only settles what the content leaves open. A broken record becomes
a `Fault` in the stream of rows, and the rows behind it are read; so does a broken document. A table that is missing,
empty or unreadable as a whole, and a column that is not there, is a `DataError`.

A reader has `Config`, `SUFFIXES`, `BINARY` (its content is no UTF-8 text, or need not be), `NESTED` (rows may differ,
and hold lists and objects), `claims(head)`, `read(file)`, and `columns(file)` where all rows have the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tunewright.base.errors import DataError
from tunewright.base.plugins import READERS
from tunewright.data.datafile import UNPACK, DataFile, Head, data_file, head_of
from tunewright.data.folders import find_files, short_names
from tunewright.data.rows import Fault, Row, parse_path, pick, unknown_column
from tunewright.data.structure import check_text
from tunewright.recipe.schema import Source

__all__ = ["check_columns", "columns_of", "find_files", "read_file", "read_rows", "short_names", "sniff"]

_HEAD_ROWS = 1000
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": ("is an old Excel or Word document", "Save it as XLSX, DOCX or CSV (UTF-8)."),
    b"BZh": ("is compressed with bzip2", UNPACK),
    b"\xfd7zXZ": ("is compressed with xz", UNPACK),
    b"7z\xbc\xaf": ("is a 7z archive", UNPACK),
}


def sniff(path: Path) -> str:
    """What a file is, by its content: the name of its reader.

    Raises:
        DataError: If the file is empty, cannot be read, or is nothing that can be read as rows.
    """
    return _kind_of(data_file(path))


def _kind_of(file: DataFile) -> str:
    head, path = head_of(file), file.path
    for mark, (what, hint) in _FOREIGN.items():
        if head.raw.startswith(mark):
            raise DataError(f"This file {what}", where=str(path), hint=hint)
    readers = {name: READERS.module(name) for name in READERS.names()}
    if found := _claimed(head, readers, binary=True):
        return found
    check_text(head, path)
    if found := _claimed(head, readers, binary=False):
        return found
    raise DataError("What this file holds is not recognised", where=str(path), hint=f"Known: {', '.join(readers)}.")


def _claimed(head: Head, readers: dict[str, Any], *, binary: bool) -> str:
    return next((name for name, reader in readers.items() if binary is reader.BINARY and reader.claims(head)), "")


def read_file(path: Path, name: str = "", *, sheet: str = "") -> Iterator[Row | Fault]:
    """The rows of one file as they stand there, and a `Fault` for each broken one.

    Args:
        path: The file.
        name: What rows and faults call it; empty: the file's own name.
        sheet: The sheet of a workbook; empty: its only one.

    Raises:
        DataError: If the file cannot be read at all, or its header is wrong.
    """
    file = data_file(path, name, sheet=sheet)
    reader = READERS.module(_kind_of(file))
    _check_sheet(reader, file)
    rows: Iterator[Row | Fault] = reader.read(file)
    return rows


def _check_sheet(reader: Any, file: DataFile) -> None:
    if file.sheet and reader is not READERS.module("excel"):
        raise DataError("A sheet is named, and this file is no workbook", where=str(file.path), hint="Take it out.")


def columns_of(path: Path, *, whole: bool = False, sheet: str = "") -> list[str]:
    """The columns of a file, in their order.

    Where rows may differ (JSON, JSONL), those of the first 1,000 rows; with `whole`, those of all rows.
    """
    file = data_file(path, sheet=sheet)
    reader = READERS.module(_kind_of(file))
    _check_sheet(reader, file)
    if hasattr(reader, "columns"):
        return list(reader.columns(file))
    rows = (row for row in reader.read(file) if isinstance(row, Row))
    found = dict.fromkeys(chain.from_iterable(row.values for row in (rows if whole else islice(rows, _HEAD_ROWS))))
    return list(found)


def check_columns(source: Source, needed: Iterable[str] = (), *, hint: str = "") -> None:
    """Checks that a source has what its own `columns` and the caller ask for, in every one of its files.

    Args:
        source: Where the rows come from.
        needed: Columns, as they are called after renaming.
        hint: Where the caller's names come from, for the error.

    Raises:
        DataError: Names the column that is not there, what it may have meant, and all there are.
    """
    for file in find_files(source):
        if source.columns:
            _check_paths(file, source.sheet, list(source.columns.values()), "It is named under 'columns'.")
            for name in needed:
                if name not in source.columns:
                    raise unknown_column(name, source.columns, where=str(file), hint=hint)
        else:
            _check_paths(file, source.sheet, list(needed), hint)


def _check_paths(path: Path, sheet: str, texts: Sequence[str], hint: str) -> None:
    if not texts:
        return
    columns = columns_of(path, sheet=sheet)
    # A path into nested values, or a key that rows may lack, is there when any row has it.
    missing = {text: parse_path(text) for text in texts if text not in columns}
    if not missing:
        return
    nested = READERS.module(sniff(path)).NESTED
    for row in read_file(path) if nested else ():
        if isinstance(row, Row):
            missing = {text: place for text, place in missing.items() if pick(row.values, text, place) is None}
            if not missing:
                return
    text = next(iter(missing))
    raise unknown_column(text, columns_of(path, whole=True) if nested else columns, where=str(path), hint=hint)


def read_rows(source: Source, names: dict[Path, str] | None = None) -> Iterator[Row | Fault]:
    """The rows of a source, file by file, under the names that `source.columns` gives its fields.

    Args:
        source: A path, a folder or a glob, and how the fields are called.
        names: What rows and faults call each file; a file that is not in it goes by its own name.

    Raises:
        DataError: If a file is missing, empty, unreadable or without a single record.
    """
    paths = {new: (text, parse_path(text)) for new, text in source.columns.items()}
    for file in find_files(source):
        count = 0
        for row in read_file(file, (names or {}).get(file, file.name), sheet=source.sheet):
            count += 1
            if paths and isinstance(row, Row):
                values = {new: pick(row.values, text, path) for new, (text, path) in paths.items()}
                row = Row(values, row.file, row.line)
            yield row
        if not count:
            raise DataError("This file has no rows", where=str(file))
