"""Answers on disk: one Parquet file, so that every evaluation can be looked at and measured again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunewright.base.errors import DataError
from tunewright.base.files import atomic_file
from tunewright.evaluate.answer import Answers
from tunewright.metrics import Answer

_FILE = "answers.parquet"
_SYSTEMS = b"tunewright.systems"
_AT_ONCE = 4096


def store_answers(answers: Mapping[str, Answers], folder: Path) -> Path:
    """Writes all systems' answers as `answers.parquet`, a row per system and example.

    Columns: system, and the fields of `Answer`, `columns` as JSON. What belongs to a system as a whole (seconds, tokens
    generated, fields not covered) stands in the file's metadata. Returns the file's path.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("id", pa.string()),
            ("system", pa.string()),
            ("reference", pa.string()),
            ("prediction", pa.string()),
            ("stopped", pa.bool_()),
            ("nats", pa.float64()),
            ("tokens", pa.int64()),
            ("bytes", pa.int64()),
            ("probability", pa.float64()),
            ("question", pa.string()),
            ("references", pa.list_(pa.string())),
            ("samples", pa.list_(pa.string())),
            ("columns", pa.string()),
            ("seconds", pa.float64()),
            ("read", pa.int64()),
            ("written", pa.int64()),
            ("reward", pa.float64()),
        ],
        metadata={_SYSTEMS: json.dumps({system: _about(given) for system, given in answers.items()})},
    )
    rows = [_row(answer) | {"system": system} for system, given in answers.items() for answer in given.answers]
    path = folder / _FILE
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary, compression="zstd")
    return path


def load_answers(folder: Path) -> dict[str, Answers]:
    """Reads back what `store_answers` wrote.

    Raises:
        DataError: If the folder holds no answers, or they cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / _FILE
    try:
        table = pq.read_table(path)
        systems = json.loads(table.schema.metadata[_SYSTEMS])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
        raise DataError("No stored answers can be read here", where=str(path), hint="Evaluate again.") from error
    rows: dict[str, list[Answer]] = {system: [] for system in systems}
    for row in table.to_pylist():
        rows[row.pop("system")].append(_answer(row))
    return {
        system: Answers(
            system,
            tuple(rows[system]),
            seconds=about["seconds"],
            tokens=about["tokens"],
            not_covered=tuple(about["not_covered"]),
            template=about.get("template", ""),
        )
        for system, about in systems.items()
    }


def stored_systems(folder: Path) -> dict[str, dict[str, Any]]:
    """Whose answers a folder holds, and what is known of each as a whole: `seconds, tokens, not_covered, template`.

    Raises:
        DataError: As `load_answers` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / _FILE
    try:
        found: dict[str, dict[str, Any]] = json.loads(pq.read_schema(path).metadata[_SYSTEMS])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
        raise DataError("No stored answers can be read here", where=str(path), hint="Evaluate again.") from error
    return found


def answer_pieces(folder: Path, system: str) -> Iterator[list[Answer]]:
    """One system's stored answers, a few thousand in memory at a time."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / _FILE) as file:
        for batch in file.iter_batches(batch_size=_AT_ONCE):
            mine = batch.filter(pc.equal(batch["system"], system)).drop_columns(["system"])
            if mine.num_rows:
                # Column by column, which takes half the time of rows.
                cells = mine.to_pydict()
                cells |= {name: map(tuple, cells[name]) for name in ("references", "samples") if name in cells}
                if "columns" in cells:
                    cells["columns"] = map(_columns, cells["columns"])
                yield [Answer(**dict(zip(cells, row, strict=True))) for row in zip(*cells.values(), strict=True)]


def _row(answer: Answer) -> dict[str, Any]:
    return asdict(answer) | {"columns": json.dumps(dict(answer.columns), ensure_ascii=False)}


def _answer(row: Mapping[str, Any]) -> Answer:
    """Reads back what `_row` gave; files of before some of the fields were there have defaults in their place."""
    lists = {name: tuple(row[name]) for name in ("references", "samples") if name in row}
    columns = {"columns": _columns(row["columns"])} if "columns" in row else {}
    return Answer(**{**row, **lists, **columns})


def _columns(text: str) -> dict[str, str]:
    columns: dict[str, str] = json.loads(text) if text != "{}" else {}
    return columns


def _about(answers: Answers) -> dict[str, object]:
    return {
        "seconds": answers.seconds,
        "tokens": answers.tokens,
        "not_covered": list(answers.not_covered),
        "template": answers.template,
    }
