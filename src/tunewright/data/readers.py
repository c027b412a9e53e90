"""From files to raw rows: JSONL, JSON, CSV, TSV and Parquet.

What a file is, is decided by its content; its suffix only settles what the content leaves open. JSONL, CSV, TSV and
Parquet are streamed; a JSON document is read whole. A broken record becomes a `Fault` in the stream of rows. A file
that is missing, empty or unreadable, and a column that is not there, is a `DataError`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import DataError
from tunewright.data.delimited import DELIMITERS, NOT_UTF8, NUL, read_delimited, read_header
from tunewright.data.rows import Fault, Row, parse_path, pick, unknown_column
from tunewright.recipe.schema import Source

Kind = Literal["jsonl", "json", "csv", "tsv", "parquet"]

_HEAD_BYTES = 1 << 16
_HEAD_ROWS = 1000
_SUFFIXES: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_KINDS = "Known: JSONL, JSON, CSV, TSV, Parquet."
_FOREIGN = {
    b"\x1f\x8b": ("is compressed with gzip", "Unpack it first: gunzip FILE."),
    b"PK\x03\x04": ("is a ZIP archive or an Excel workbook", "Unpack it, or save the sheet as CSV (UTF-8)."),
    b"\xd0\xcf\x11\xe0": ("is an old Excel workbook", "Save the sheet as CSV (UTF-8)."),
    b"\xff\xfe": ("is UTF-16, and not UTF-8", "Convert it first: iconv -f UTF-16 -t UTF-8 FILE > NEW."),
    b"\xfe\xff": ("is UTF-16, and not UTF-8", "Convert it first: iconv -f UTF-16 -t UTF-8 FILE > NEW."),
}


def find_files(source: Source) -> list[Path]:
    """The files of a source, sorted.

    Raises:
        DataError: If there are none, or the path is a folder.
    """
    files = source.files()
    if not files:
        path = Path(source.path)
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=1)
        hint = (
            f"Did you mean '{path.with_name(close[0])}'?" if close else "Check data.train, data.validation, data.test."
        )
        raise DataError("This file does not exist", where=source.path, hint=hint)
    for file in files:
        if file.is_dir():
            raise DataError("This is a folder, and not a file", where=str(file), hint=f"Name its files: {file}/*.csv.")
    return files


def sniff(path: Path) -> Kind:
    """What a file is, by its content.

    Raises:
        DataError: If the file is empty, cannot be read, or is nothing that can be read as rows.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(f"This file cannot be read ({error.strerror})", where=str(path)) from error
    for mark, (what, hint) in _FOREIGN.items():
        if head.startswith(mark):
            raise DataError(f"This file {what}", where=str(path), hint=hint)
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.decode("utf-8-sig", errors="replace")
    if not text.strip():
        raise DataError("This file is empty", where=str(path))
    if "\r" in text and "\n" not in text:
        raise DataError(
            "The lines of this file end in a lone carriage return",
            where=str(path),
            hint=r"Convert it first: tr '\r' '\n' < FILE > NEW.",
        )
    return _sniff_text(text, path)


def _sniff_text(text: str, path: Path) -> Kind:
    suffix = _SUFFIXES.get(path.suffix.lower())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first, mark = lines[0], lines[0][0]
    tabular: Kind = suffix if suffix in ("csv", "tsv") else ("tsv" if "\t" in first else "csv")
    if mark == "{" and _is_object(first):
        # One whole object on the first line: JSONL, unless it is all there is and the file is called JSON.
        return "json" if len(lines) == 1 and suffix == "json" else "jsonl"
    if mark in "[{":
        return _sniff_broken(mark, first, lines, tabular, suffix)
    if suffix in ("jsonl", "json"):
        looks_like_json = any(line.startswith(("{", "[")) for line in lines)
        return suffix if looks_like_json or not _is_header(first) else tabular
    if suffix in ("csv", "tsv") or _is_header(first):
        return tabular
    raise DataError("What this file holds is not recognised", where=str(path), hint=_KINDS)


def _sniff_broken(mark: str, first: str, lines: Sequence[str], tabular: Kind, suffix: Kind | None) -> Kind:
    """A text that begins like JSON, but whose first line alone is no object."""
    if suffix in ("csv", "tsv") and not (first == mark or first[1:].lstrip().startswith(("{", '"'))):
        return tabular  # a header such as `[id],text`
    if suffix == "jsonl" and not (mark == "[" and (first == "[" or first[1:].lstrip().startswith("{"))):
        return "jsonl"
    objects = sum(line.startswith("{") and line.endswith("}") for line in lines)
    return "jsonl" if mark == "{" and len(lines) > 1 and objects > len(lines) // 2 else "json"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_header(line: str) -> bool:
    return any(mark in line for mark in DELIMITERS)


def read_file(path: Path, name: str = "") -> Iterator[Row | Fault]:
    """The rows of one file as they stand there, and a `Fault` for each broken one.

    Args:
        path: The file.
        name: What rows and faults call it; empty: the file's own name.

    Raises:
        DataError: If the file cannot be read at all, or its header is wrong.
    """
    kind, name = sniff(path), name or path.name
    if kind == "jsonl":
        return _read_jsonl(path, name)
    if kind == "json":
        return _read_json(path, name)
    if kind == "parquet":
        return _read_parquet(path, name)
    return read_delimited(path, name, usual="\t" if kind == "tsv" else ",")


def columns_of(path: Path, *, whole: bool = False) -> list[str]:
    """The columns of a file, in their order.

    Where rows may differ (JSON, JSONL), those of the first 1,000 rows; with `whole`, those of all rows.
    """
    kind = sniff(path)
    if kind in ("csv", "tsv"):
        return read_header(path, path.name, usual="\t" if kind == "tsv" else ",")
    if kind == "parquet":
        return list(_open_parquet(path, path.name).schema_arrow.names)
    rows = (row for row in read_file(path) if isinstance(row, Row))
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
            _check_paths(file, list(source.columns.values()), "It is named under 'columns'.")
            for name in needed:
                if name not in source.columns:
                    raise unknown_column(name, source.columns, where=str(file), hint=hint)
        else:
            _check_paths(file, list(needed), hint)


def _check_paths(file: Path, texts: Sequence[str], hint: str) -> None:
    columns = columns_of(file)
    # A path into nested values, or a key that rows may lack, is there when any row has it.
    missing = {text: parse_path(text) for text in texts if text not in columns}
    if not missing:
        return
    tabular = sniff(file) in ("csv", "tsv")
    for row in () if tabular else read_file(file):
        if isinstance(row, Row):
            missing = {text: path for text, path in missing.items() if pick(row.values, text, path) is None}
            if not missing:
                return
    text = next(iter(missing))
    raise unknown_column(text, columns if tabular else columns_of(file, whole=True), where=str(file), hint=hint)


def read_rows(source: Source, names: dict[Path, str] | None = None) -> Iterator[Row | Fault]:
    """The rows of a source, file by file, under the names that `source.columns` gives its fields.

    Args:
        source: A path or glob, and how the fields are called.
        names: What rows and faults call each file; a file that is not in it goes by its own name.

    Raises:
        DataError: If a file is missing, empty, unreadable or without a single record.
    """
    paths = {new: (text, parse_path(text)) for new, text in source.columns.items()}
    for file in find_files(source):
        count = 0
        for row in read_file(file, (names or {}).get(file, file.name)):
            count += 1
            if paths and isinstance(row, Row):
                values = {new: pick(row.values, text, path) for new, (text, path) in paths.items()}
                row = Row(values, row.file, row.line)
            yield row
        if not count:
            raise DataError("This file has no rows", where=str(file))


def short_names(files: Iterable[Path]) -> dict[Path, str]:
    """A name for each file: its own, with as many parent folders as tell equal names apart."""
    remaining = sorted(set(files))
    names: dict[Path, str] = {}
    depth = 1
    while remaining:
        spelled = {file: "/".join(file.parts[-depth:]) for file in remaining}
        counts = list(spelled.values())
        unique = {file: name for file, name in spelled.items() if counts.count(name) == 1}
        names |= unique
        remaining = [file for file in remaining if file not in unique]
        depth += 1
    return names


def _constant(name: str) -> float | None:
    # Writers that know no null put NaN for a missing number.
    return None if name == "NaN" else float(name)


def _read_jsonl(path: Path, name: str) -> Iterator[Row | Fault]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                value = json.loads(raw.decode("utf-8-sig" if line == 1 else "utf-8"), parse_constant=_constant)
            except UnicodeDecodeError as error:
                yield Fault(name, line, NOT_UTF8.format(byte=raw[error.start], position=error.start + 1))
            except (ValueError, RecursionError) as error:
                yield Fault(name, line, NUL if b"\0" in raw else f"this is not valid JSON: {_json_fault(error)}")
            else:
                yield _record(value, name, line)


def _record(value: Any, name: str, line: int) -> Row | Fault:
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a single value")
        return Fault(name, line, f"this is {kind}, and not a JSON object")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Fault(name, line, "a text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    return Row(value, name, line)


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at position {error.pos + 1}"
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def _read_json(path: Path, name: str) -> Iterator[Row | Fault]:
    raw = path.read_bytes()
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_constant)
    except UnicodeDecodeError as error:
        reason = NOT_UTF8.format(byte=raw[error.start], position=error.start - raw.rfind(b"\n", 0, error.start))
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(reason[0].upper() + reason[1:], where=f"{path}:{line}") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"This is not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}",
            where=f"{path}:{error.lineno}",
            hint="Nothing of a JSON document can be used once it is broken; JSONL, one object a line, is sturdier.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"This is not valid JSON: {_json_fault(error)}", where=str(path)) from error
    for index, item in enumerate(_rows_of_document(value, path), 1):
        yield _record(item, name, index)


def _rows_of_document(value: Any, path: Path) -> list[Any]:
    if isinstance(value, list):
        return value
    lists = {key: item for key, item in value.items() if isinstance(item, list)} if isinstance(value, dict) else {}
    if len(lists) == 1:
        return next(iter(lists.values()))
    found = f"lists under {', '.join(lists)}" if lists else "no list"
    raise DataError(
        f"A JSON document is a list of objects, or an object with one list; this one has {found}", where=str(path)
    )


def _open_parquet(path: Path, name: str) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"This Parquet file cannot be read ({_first_line(error)})", where=str(path)) from error


def _read_parquet(path: Path, name: str) -> Iterator[Row | Fault]:
    import pyarrow

    line = 0
    file = _open_parquet(path, name)
    try:
        for batch in file.iter_batches(batch_size=4096):
            for values in batch.to_pylist():
                line += 1
                yield Row(values, name, line)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"This Parquet file breaks off ({_first_line(error)})", where=f"{name}:{line + 1}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip().rstrip(".")
