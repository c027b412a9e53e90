"""Rows as frames of limited height, which may be gone through again and again; on disk once there are many."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.base.files import disk_guard

PIECE_ROWS = 50_000
HELD_BYTES = 1 << 24  # what rows may take before they go to disk
GROUP_ROWS = 16_384  # in a written file's row group, which stands in memory three times while it is compressed
_LEAST_BYTES = 1 << 23  # smaller frames are put together first, so that there are few files


class Pieces:
    """Rows in an order, cut into frames.

    The frames that come out all have the same columns: those of all that went in, in the order they were first met,
    null where a frame had no such column. How rows went in does not show otherwise.
    """

    def __init__(self) -> None:
        self._held: list[pl.DataFrame] = []  # the last ones, not yet on disk
        self._files: list[Path] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._schema: dict[str, pl.DataType] = {}
        self.height = 0

    @classmethod
    def of(cls, frames: Iterable[pl.DataFrame]) -> Self:
        """All rows of some frames."""
        made = cls()
        for frame in frames:
            made.add(frame)
        return made

    @property
    def columns(self) -> list[str]:
        """What every frame has."""
        return list(self._schema)

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns' types."""
        return dict(self._schema)

    def add(self, frame: pl.DataFrame) -> None:
        """Puts rows at the end; a frame without rows still brings its columns."""
        self._schema |= {name: kind for name, kind in frame.schema.items() if name not in self._schema}
        for piece in frame.iter_slices(PIECE_ROWS):
            if piece.height:
                self._held.append(piece)
        self.height += frame.height
        if sum(piece.estimated_size() for piece in self._held) > HELD_BYTES:
            self._spill()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for file in self._files:
            for piece in self._aligned(pl.read_ipc(file)).iter_slices(PIECE_ROWS):
                yield piece
        for piece in tuple(self._held):
            yield self._aligned(piece)

    def whole(self, *columns: str) -> pl.DataFrame:
        """All rows as one frame, or some of their columns. Only for what fits into memory."""
        empty = pl.DataFrame(schema={name: self._schema[name] for name in columns or self._schema})
        return pl.concat([empty, *(piece.select(empty.columns) for piece in self)], rechunk=True)

    def take(self, rows: Iterable[int]) -> pl.DataFrame:
        """Some rows by number, in the order they stand."""
        wanted = sorted(set(rows))
        parts, start, at = [pl.DataFrame(schema=self._schema)], 0, 0
        for piece in self:
            first = at
            while at < len(wanted) and wanted[at] < start + piece.height:
                at += 1
            if at > first:
                parts.append(piece[[row - start for row in wanted[first:at]]])
            start += piece.height
        return pl.concat(parts)

    def discard(self) -> None:
        """Lets go of the rows, and of their place on disk."""
        self._held, self._files = [], []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _aligned(self, piece: pl.DataFrame) -> pl.DataFrame:
        absent = [pl.lit(None, kind).alias(name) for name, kind in self._schema.items() if name not in piece.columns]
        return piece.with_columns(absent).select(self.columns) if absent else piece.select(self.columns)

    def _spill(self) -> None:
        if self._folder is None:
            with disk_guard(Path(tempfile.gettempdir())):
                self._folder = tempfile.TemporaryDirectory(prefix="tunewright-rows-")
        group: list[pl.DataFrame] = []
        for piece in self._held:
            group.append(piece)
            if sum(each.estimated_size() for each in group) >= _LEAST_BYTES:
                self._write(group)
                group = []
        self._held = group

    def _write(self, group: list[pl.DataFrame]) -> None:
        assert self._folder is not None
        file = Path(self._folder.name) / f"{len(self._files)}.arrow"
        with disk_guard(file):
            pl.concat([self._aligned(each) for each in group]).write_ipc(file, compression="lz4")
        self._files.append(file)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some of the rows, to be gone through again and again.

    Args:
        rows: All of them.
        mask: Which are meant, shape (rows.height,).
    """

    rows: Pieces
    mask: npt.NDArray[np.bool_]

    @classmethod
    def all_of(cls, rows: Pieces) -> Chosen:
        """Every row."""
        return cls(rows, np.ones(rows.height, dtype=bool))

    @property
    def height(self) -> int:
        """How many rows are meant."""
        return int(self.mask.sum())

    def __iter__(self) -> Iterator[pl.DataFrame]:
        start = 0
        for piece in self.rows:
            chosen = self.mask[start : start + piece.height]
            start += piece.height
            if chosen.any():
                yield piece.filter(pl.Series(chosen))

    def without(self, keys: Iterable[str], column: str = "prompt_key") -> tuple[Chosen, Chosen]:
        """The rows whose column holds none of some values, and those where it does."""
        banned = pl.Series(sorted(keys), dtype=pl.String).implode()
        parts = [piece.select(pl.col(column).is_in(banned)).to_series().to_numpy() for piece in self.rows]
        gone = np.concatenate([np.empty(0, dtype=bool), *parts])
        return Chosen(self.rows, self.mask & ~gone), Chosen(self.rows, self.mask & gone)


def coded(rows: Iterable[pl.DataFrame], column: str) -> npt.NDArray[np.bytes_]:
    """A column of keys, which are ASCII, as bytes: a fraction of what texts of Python's take; shape (rows,)."""
    parts = [piece[column].to_numpy().astype(np.bytes_) for piece in rows]
    return np.concatenate([np.empty(0, dtype="S1"), *parts])


def write_parquet(frames: Iterable[pl.DataFrame], path: Path, *, schema: Mapping[str, Any] | None = None) -> None:
    """Writes frames one after another into one file, whose row groups do not show how the rows were cut.

    Args:
        frames: Rows; all with the same columns.
        path: The file.
        schema: The columns; none: those of the first frame, which there must be.
    """
    import pyarrow.parquet as pq

    waiting = [pl.DataFrame(schema=schema)] if schema is not None else []
    frames = iter(frames)
    if not waiting:
        waiting = [next(frames)]
    arrow = waiting[0].head(0).to_arrow().schema
    with pq.ParquetWriter(path, arrow, compression="zstd") as writer:
        for frame in frames:
            waiting.append(frame)
            while sum(each.height for each in waiting) >= GROUP_ROWS:
                rows = pl.concat(waiting)
                writer.write_table(rows.head(GROUP_ROWS).to_arrow().cast(arrow), row_group_size=GROUP_ROWS)
                waiting = [rows.slice(GROUP_ROWS)]
        rows = pl.concat(waiting)
        if rows.height:
            writer.write_table(rows.to_arrow().cast(arrow), row_group_size=GROUP_ROWS)
