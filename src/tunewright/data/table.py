"""From sources to one frame of text columns, row ids, and the list of what could not be read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage
from tunewright.base.files import hash_file
from tunewright.data.formats import Format
from tunewright.data.frame import LINE, ROW_ID, SOURCE
from tunewright.data.readers import find_files, read_rows
from tunewright.data.rows import Fault, Row, as_text, parse_path, pick
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
    """A file that was read: name, content hash, size, and how many of its records were met, and of those refused."""

    name: str
    sha256: str
    bytes: int
    rows: int
    refused: int


@dataclass(frozen=True, slots=True)
class Table:
    """What was read from the sources of one split.

    Args:
        frame: Text columns and the reserved ones; see `data/frame.py`.
        refused: The records that could not be used (`row_id, source, line, stage, reason`); no id where unreadable.
        files: The files, in the order they were read.
    """

    frame: pl.DataFrame
    refused: pl.DataFrame
    files: tuple[SourceFile, ...]

    @property
    def total(self) -> int:
        """Records met, usable or not."""
        return self.frame.height + self.refused.height


def read_table(
    sources: Sequence[Source],
    format: Format,
    carried: Sequence[str],
    *,
    names: dict[Path, str],
    listener: Listener,
) -> Table:
    """Reads sources into one frame; row ids are not yet told apart (`distinct_ids`).

    Args:
        sources: Where rows come from, in order.
        format: How a row is flattened.
        carried: Further columns that steps want.
        names: What rows and faults call each file.
        listener: Is told how many rows were read.

    Raises:
        DataError: If a file is missing, empty or unreadable.
    """
    frames: list[pl.DataFrame] = []
    refused: list[dict[str, Any]] = []
    counts: dict[str, list[int]] = {}
    flat: list[dict[str, Any]] = []
    for row in _rows(sources, names):
        read = _flatten(row, format, carried)
        count = counts.setdefault(row.file, [0, 0])
        count[0] += 1
        if "reason" in read:
            count[1] += 1
            refused.append(read["reason"])
            continue
        flat.append(read)
        if len(flat) == _CHUNK_ROWS:
            frames.append(_frame(flat))
            flat = []
            done = sum(total for total, _ in counts.values())
            listener(Stage("data", "progress", done=done, unit="rows", note="reading"))
    frames.append(_frame(flat))
    paths = dict.fromkeys(file for source in sources for file in find_files(source))
    files = tuple(SourceFile(names[file], hash_file(file), file.stat().st_size, *counts[names[file]]) for file in paths)
    frame = pl.concat(frames, how="diagonal", rechunk=True)
    return Table(frame, pl.DataFrame(refused, schema=REFUSED), files)


def _rows(sources: Iterable[Source], names: dict[Path, str]) -> Iterator[Row | Fault]:
    for source in sources:
        yield from read_rows(source, names)


def _flatten(row: Row | Fault, format: Format, carried: Sequence[str]) -> dict[str, Any]:
    """The cells of a usable row, or `{"reason": refusal}`."""
    row_id = None
    if isinstance(row, Row):
        try:
            row_id = _row_id(row)
            cells: dict[str, Any] = {name: as_text(pick(row.values, name, parse_path(name))) for name in carried}
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


def distinct_ids(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """The frames with row ids that no two rows share: the n-th of several equal records has `-n` behind its id.

    Which of several equal records gets which number does not matter, so ids stay stable under reordering.
    """
    ids = pl.concat([frame[ROW_ID].cast(pl.String) for frame in frames]).to_frame(ROW_ID)
    number = pl.int_range(1, pl.len() + 1).over(ROW_ID)
    told_apart = ids.select(
        pl.when(number == 1).then(ROW_ID).otherwise(pl.concat_str(ROW_ID, pl.lit("-"), number.cast(pl.String)))
    ).to_series()
    result, at = [], 0
    for frame in frames:
        result.append(frame.with_columns(told_apart.slice(at, frame.height).alias(ROW_ID)))
        at += frame.height
    return result
