"""From sources to rows of text columns, row ids, and the list of what could not be read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage
from tunewright.base.files import hash_file
from tunewright.data.formats import Format
from tunewright.data.frame import ITEM, LINE, ROW_ID, SOURCE
from tunewright.data.pieces import Pieces
from tunewright.data.readers import find_files, read_rows
from tunewright.data.rows import Fault, Row, as_text, compact_json, parse_path, pick
from tunewright.recipe.schema import Source

_CHUNK_ROWS = 20_000
_ID_BYTES = 8

REFUSED: dict[str, Any] = {
    "row_id": pl.String,
    "source": pl.String,
    "line": pl.Int64,
    "stage": pl.String,
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read: name, content hash, size, and how many of its records were met, and of those refused.

    `of` are the numbers of the recipe's sources that name it.
    """

    name: str
    sha256: str
    bytes: int
    rows: int
    refused: int
    of: tuple[int, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Table:
    """What was read from the sources of one split.

    Args:
        rows: Text columns and the reserved ones; see `data/frame.py`.
        refused: The records that could not be used (`row_id, source, line, stage, reason`); no id where unreadable.
        files: The files, in the order they were read.
        read: How many rows there were; cleaning gives them up.
    """

    rows: Pieces
    refused: pl.DataFrame
    files: tuple[SourceFile, ...]
    read: int

    @property
    def total(self) -> int:
        """Records met, usable or not."""
        return self.read + self.refused.height


def read_table(
    sources: Sequence[Source],
    format: Format,
    carried: Sequence[str],
    *,
    names: dict[Path, str],
    listener: Listener,
    keeps_items: bool = False,
) -> Table:
    """Reads sources; row ids are not yet told apart (`distinct_ids`).

    Args:
        sources: Where rows come from, in order.
        format: How a row is flattened.
        carried: Further columns that steps want.
        names: What rows and faults call each file.
        listener: Is told how many rows were read.
        keeps_items: Whether each row's whole record is kept beside it.

    Raises:
        DataError: If a file is missing, empty or unreadable.
    """
    rows = Pieces()
    refused = [pl.DataFrame(schema=REFUSED)]
    counts: dict[str, list[int]] = {}
    for some in _batches(_rows(sources, names)):
        good, bad = [], []
        for row in some:
            read = _flatten(row, format, carried, keeps_items=keeps_items)
            count = counts.setdefault(row.file, [0, 0])
            count[0] += 1
            if "reason" in read:
                count[1] += 1
                bad.append(read["reason"])
            else:
                good.append(read)
        rows.add(_frame(good))
        refused.append(pl.DataFrame(bad, schema=REFUSED))
        done = sum(total for total, _ in counts.values())
        listener(Stage("data", "progress", done=done, unit="rows", note="reading"))
    paths: dict[Path, list[int]] = {}
    for number, source in enumerate(sources):
        for file in find_files(source):
            paths.setdefault(file, []).append(number)
    files = tuple(_file(file, names[file], counts[names[file]], tuple(of)) for file, of in paths.items())
    return Table(rows, pl.concat(refused), files, rows.height)


def _file(path: Path, name: str, counts: Sequence[int], of: tuple[int, ...]) -> SourceFile:
    rows, refused = counts
    return SourceFile(name, hash_file(path), path.stat().st_size, rows, refused, of=of)


def _batches(rows: Iterator[Row | Fault]) -> Iterator[list[Row | Fault]]:
    while some := list(islice(rows, _CHUNK_ROWS)):
        yield some


def _rows(sources: Iterable[Source], names: dict[Path, str]) -> Iterator[Row | Fault]:
    for source in sources:
        yield from read_rows(source, names)


def _flatten(row: Row | Fault, format: Format, carried: Sequence[str], *, keeps_items: bool) -> dict[str, Any]:
    """The cells of a usable row, or `{"reason": refusal}`."""
    row_id = None
    if isinstance(row, Row):
        try:
            row_id = _row_id(row)
            cells: dict[str, Any] = {name: as_text(pick(row.values, name, parse_path(name))) for name in carried}
            if keeps_items:
                cells[ITEM] = compact_json(row.values)
            return {ROW_ID: row_id, SOURCE: row.file, LINE: row.line, **cells, **format.flatten(row.values)}
        except DataError as error:
            stage, reason = "format", error.what
    else:
        stage, reason = "read", row.reason
    return {
        "reason": {"row_id": row_id, "source": row.file, "line": row.line, "stage": stage, "reason": reason},
    }


def _row_id(row: Row) -> str:
    content = json.dumps(row.values, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{row.file}\0{content}".encode()).hexdigest()[: 2 * _ID_BYTES]


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    order = dict.fromkeys([ROW_ID, SOURCE, LINE, *(name for row in rows for name in row)])
    kinds = dict.fromkeys(order, pl.String) | {LINE: pl.Int64}
    return pl.DataFrame(
        {name: pl.Series(name, [row.get(name) for row in rows], dtype=kinds[name]) for name in order},
    )


def distinct_ids(tables: Sequence[Pieces]) -> list[Pieces]:
    """The rows with ids that no two share: the n-th of several equal records has `-n` behind its id.

    Which of several equal records gets which number does not matter, so ids stay stable under reordering. The rows
    given are given up.
    """
    ids = np.concatenate([np.empty(0, np.uint64), *(_numbers(piece[ROW_ID]) for rows in tables for piece in rows)])
    values, counts = np.unique(ids, return_counts=True)
    repeated = values[counts > 1]
    if not len(repeated):
        return list(tables)
    seen: dict[int, int] = {}
    return [_told_apart(rows, repeated, seen) for rows in tables]


def _numbers(ids: pl.Series) -> npt.NDArray[np.uint64]:
    """Row ids, which are hexadecimal, as numbers."""
    return np.array([int(row_id, 16) for row_id in ids], dtype=np.uint64)


def _told_apart(rows: Pieces, repeated: npt.NDArray[np.uint64], seen: dict[int, int]) -> Pieces:
    told = Pieces.of([pl.DataFrame(schema=rows.schema)])
    for piece in rows:
        numbers, ids = _numbers(piece[ROW_ID]), piece[ROW_ID].to_list()
        for place in np.flatnonzero(np.isin(numbers, repeated)).tolist():
            number = seen[int(numbers[place])] = seen.get(int(numbers[place]), 0) + 1
            if number > 1:
                ids[place] = f"{ids[place]}-{number}"
        told.add(piece.with_columns(pl.Series(ROW_ID, ids, dtype=pl.String)))
    rows.discard()
    return told
