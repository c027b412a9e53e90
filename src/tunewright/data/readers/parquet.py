"""Parquet, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.data.datafile import DataFile, Head
from tunewright.data.rows import Fault, Row

SUFFIXES = (".parquet", ".pq")
BINARY = True
NESTED = True

_BATCH_ROWS = 4096


class Config(PluginConfig):
    """Parquet."""

    name: Literal["parquet"] = "parquet"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return head.raw.startswith(b"PAR1")


def columns(file: DataFile) -> list[str]:
    """The names in the schema."""
    return list(_open(file).schema_arrow.names)


def read(file: DataFile) -> Iterator[Row | Fault]:
    """All rows.

    Raises:
        DataError: If the file is damaged.
    """
    import pyarrow

    line = 0
    table = _open(file)
    try:
        for batch in table.iter_batches(batch_size=_BATCH_ROWS):
            for values in _values_of(batch):
                line += 1
                yield Fault(file.name, line, values) if isinstance(values, str) else Row(values, file.name, line)
    except (pyarrow.ArrowException, OSError) as error:
        where = f"{file.name}:{line + 1}"
        raise DataError(f"This Parquet file breaks off ({_first_line(error)})", where=where) from error


def _values_of(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch; for one that Python has no values for (no UTF-8, a date beyond its years) the reason."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError):
        pass  # one of them; each is tried for itself
    for index in range(batch.num_rows):
        try:
            yield from batch.slice(index, 1).to_pylist()
        except (ValueError, OverflowError) as error:
            yield f"a value cannot be read ({_first_line(error)})"


def _open(file: DataFile) -> Any:
    import pyarrow
    import pyarrow.parquet

    path = file.plain_path("Parquet")
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"This Parquet file cannot be read ({_first_line(error)})", where=str(path)) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip().rstrip(".")
