"""A prepared dataset written for other programs, streamed: two passes, the first of which only looks.

What a format cannot hold is never lost in silence: it is refused before anything is written, or, if that is asked for,
left off and counted.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tunewright.base.errors import SHOWN_FAULTS, DataError, collect
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.files import atomic_file
from tunewright.base.plugins import EXPORTS
from tunewright.data.dataset import Dataset, Part

_TOLD_EVERY = 2000
_ROWS_AT_ONCE = 1024
# What spreadsheet programs take for the beginning of a formula (OWASP, CSV injection).
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?%?")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Args:
        path: The file.
        rows: Rows in it.
        left_out: Rows that are not, since the format cannot hold them.
        lost: What was left off, or why rows were left out, and of how many rows.
        guarded: Cells of CSV that were given an apostrophe, so that no spreadsheet takes them for a formula.
    """

    path: Path
    rows: int
    left_out: int
    lost: dict[str, int]
    guarded: int = 0

    def as_json(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {
            "path": str(self.path),
            "rows": self.rows,
            "left_out": self.left_out,
            "lost": self.lost,
            "guarded_cells": self.guarded,
        }


@dataclass
class _Look:
    """What the first pass found."""

    rows: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    places: list[str] = field(default_factory=list)
    features: set[str] = field(default_factory=set)


def export(
    dataset: Dataset,
    output: Path,
    format: str,
    *,
    part: Part = "train",
    partial: bool = False,
    guard: bool = True,
    listener: Listener = ignore,
) -> Exported:
    """Writes one part of a dataset to a file, whole or not at all.

    Args:
        dataset: What to write.
        output: Where to; an existing file is replaced.
        format: A name of `data/exports`.
        part: Which rows.
        partial: Write what the format can hold, and count the rest; else rows that do not fit are an error.
        guard: In CSV, whether cells that a spreadsheet would take for formulas get an apostrophe in front.
        listener: Hears how far it is.

    Raises:
        DataError: If the format cannot hold all, or there is nothing to write.
        UnknownNameError: If there is no such format.
    """
    kind = EXPORTS.module(format)
    if dataset.answer_kind == "document":
        raise DataError(
            "This dataset holds documents, and these formats hold conversations",
            where=format,
            hint=f"Its rows are Parquet already: {dataset.path / f'{part}.parquet'}.",
        )
    look = _look(dataset, part, kind, listener)
    if not look.rows:
        raise DataError(f"The part '{part}' of this dataset has no rows", where=dataset.hash[:12])
    if look.lost and not partial:
        raise DataError(
            f"{sum(look.lost.values()):,} of {look.rows:,} rows do not fit the format '{format}' as a whole",
            where=f"{dataset.hash[:12]}/{part}",
            hint=f"Take another format, or --partial, which leaves off what does not fit.\n"
            f"{collect(look.places, total=sum(look.lost.values()))}",
        )
    features = frozenset(look.features)
    rows = (row for example in dataset.each(part) if (row := kind.row(example, features)) is not None)
    with atomic_file(output) as temporary:
        count, guarded = _write(temporary, kind, features, _told(rows, look.rows, listener), guard)
    if not count:
        output.unlink()
        raise DataError(f"Not one of {look.rows:,} rows fits the format '{format}'", where=dataset.hash[:12])
    listener(Stage("export", "finished", done=count, total=look.rows, unit="rows"))
    return Exported(output, count, look.rows - count, dict(look.lost.most_common()), guarded)


def _look(dataset: Dataset, part: Part, kind: Any, listener: Listener) -> _Look:
    look = _Look()
    listener(Stage("export", "started", unit="rows"))
    for example in dataset.each(part):
        look.rows += 1
        look.features |= kind.features(example)
        if lost := kind.lost(example):
            look.lost[lost] += 1
            if len(look.places) < SHOWN_FAULTS:
                look.places.append(f"{example.source}:{example.line}: {lost}")
        if look.rows % _TOLD_EVERY == 0:
            listener(Stage("export", "progress", done=look.rows, unit="rows", note="looking"))
    return look


def _told(rows: Iterator[Any], total: int, listener: Listener) -> Iterator[Any]:
    for count, row in enumerate(rows, 1):
        yield row
        if count % _TOLD_EVERY == 0:
            listener(Stage("export", "progress", done=count, total=total, unit="rows", note="writing"))


def _write(
    path: Path, kind: Any, features: frozenset[str], rows: Iterator[Mapping[str, Any]], guard: bool
) -> tuple[int, int]:
    """Writes rows as the format's files are; how many, and how many cells were guarded."""
    if kind.FILE == "parquet":
        return _write_parquet(path, kind.schema(features), rows), 0
    if kind.FILE == "csv":
        return _write_csv(path, kind.columns(features), rows, guard)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):  # noqa: B007
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count, 0


def _write_csv(path: Path, columns: list[str], rows: Iterator[Mapping[str, Any]], guard: bool) -> tuple[int, int]:
    count = guarded = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            cells = [row[name] for name in columns]
            if guard:
                safe = [guarded_cell(cell) for cell in cells]
                guarded += sum(cell != other for cell, other in zip(cells, safe, strict=True))
                cells = safe
            writer.writerow(cells)
            count += 1
    return count, guarded


def guarded_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; plain numbers stay as they are."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _write_parquet(path: Path, schema: Any, rows: Iterator[Mapping[str, Any]]) -> int:
    import pyarrow
    import pyarrow.parquet

    count = 0
    with contextlib.closing(pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")) as writer:
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))
            count += len(some)
    return count
