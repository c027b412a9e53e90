"""What any system has answered, read from its file a few thousand answers at a time.

A row is an answer. What its columns mean is known by their usual names (`SYNONYMS`) or said by the caller; all others
are the row's further cells. References may stand in a file of their own: they are then told by their ids, and kept on
disk meanwhile, so that memory does not grow with either file.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.base.errors import DataError, InputError, collect
from tunewright.data.readers import columns_of, read_file
from tunewright.data.rows import Fault, Row, as_text, unknown_column
from tunewright.metrics import Answer
from tunewright.metrics._answer import name_ids

PIECE_ROWS = 4096

# What a field of an answer is usually called in a file, the most telling name first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "id": ("id", "row_id", "example_id", "question_id", "uid", "uuid", "key", "index", "idx"),
    "prediction": (
        *("prediction", "predicted", "pred", "model_output", "model_answer", "generated_text", "generated"),
        *("generation", "output", "response", "completion", "hypothesis", "predicted_label", "answer"),
    ),
    "reference": (
        *("reference", "ref", "target", "expected", "expected_output", "gold", "ground_truth", "truth", "ideal"),
        *("correct_answer", "label", "references", "refs", "targets", "answers", "answer", "solution"),
    ),
    "references": ("references", "refs", "targets", "answers"),
    "question": ("question", "prompt", "query", "input", "instruction", "text", "message"),
    "system": ("system", "model", "model_name", "system_name"),
    "samples": ("samples", "sampled"),
    "probability": ("probability", "confidence", "prob"),
    "seconds": ("seconds", "latency_s", "latency_seconds", "duration_s"),
    "nats": ("nats", "nll"),
    "tokens": ("tokens", "reference_tokens"),
    "bytes": ("bytes",),
    "stopped": ("stopped",),
    "finish": ("finish_reason", "finish"),
    "read": ("read", "prompt_tokens", "input_tokens"),
    "written": ("written", "completion_tokens", "output_tokens"),
    "columns": ("columns",),
}
# Those that a caller may name, by the option's word.
NAMED = ("id", "prediction", "reference", "question", "system")

_FLOATS = ("probability", "seconds", "nats")
_INTS = ("tokens", "bytes", "read", "written")
_CUT = ("length", "max_tokens", "truncated")
_MOST_SYSTEMS = 50
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Outputs:
    """A file of answers, and what its columns mean.

    Args:
        path: The file.
        columns: The file's column by the field of an answer.
        references: A file with the right answers; None: they stand beside the given ones, or there are none.
        reference_columns: Its `id` (where it has one) and `reference`.
    """

    path: Path
    columns: Mapping[str, str]
    references: Path | None = None
    reference_columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_references(self) -> bool:
        """Whether there is anything to hold the answers against."""
        return self.references is not None or "reference" in self.columns

    def systems(self) -> list[str]:
        """Who answered, in the order of their first rows; one without a name where the file does not say.

        Raises:
            InputError: If the column has so many values, or so long ones, that it says something else.
        """
        column = self.columns.get("system")
        if column is None:
            return [""]
        found: dict[str, None] = {}
        for row in self._rows():
            name = as_text(row.values.get(column)) or ""
            found[name] = None
            if len(found) > _MOST_SYSTEMS or len(name) > _LONGEST_NAME:
                raise InputError(
                    f"The column '{column}' does not say who answered: '{name[:40]}' and others",
                    where=str(self.path),
                    hint="Name the column that does with --system, or rename this one.",
                )
        return list(found)

    def pieces(self, system: str = "") -> Iterator[list[Answer]]:
        """One system's answers, some at a time, in the file's order.

        Raises:
            DataError: If records cannot be read, ids stand twice, answers and references do not belong together, or
                numbers are none. What is counted to the end is told at the end.
        """
        ids = _Ids(str(self.path))
        answers = self._answers(system)
        joined = answers if self.references is None else self._joined(answers, self.references)
        while piece := list(islice(joined, PIECE_ROWS)):
            ids.add([answer.id for answer in piece])
            yield piece
        ids.check(answer.id for answer in self._answers(system))

    def _rows(self) -> Iterator[Row]:
        return _good_rows(self.path)

    def _answers(self, system: str) -> Iterator[Answer]:
        column = self.columns.get("system")
        faults = _Missing(str(self.path), self.columns)
        for number, row in enumerate(self._rows(), 1):
            if column is None or (as_text(row.values.get(column)) or "") == system:
                yield _answer(row, number, self.columns, faults, wants_reference=self.references is None)
        faults.check()

    def _joined(self, answers: Iterator[Answer], references: Path) -> Iterator[Answer]:
        asked = self.reference_columns
        if "id" in asked:
            return _joined_by_id(answers, references, asked)
        return _joined_in_order(answers, references, asked, str(self.path))


def open_outputs(path: Path, given: Mapping[str, str], references: Path | None = None) -> Outputs:
    """A file of answers, its columns understood.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet, perhaps packed.
        given: Columns that the caller names, by the field: of `NAMED`.
        references: A file with the right answers.

    Raises:
        DataError: If a file cannot be read, or a column that is needed is not there.
    """
    here = columns_of(path)
    columns = _understood(here, given, str(path), but=("reference",) if references else ())
    if "prediction" not in columns:
        raise DataError(
            "No column looks like what was answered",
            where=str(path),
            hint=f"Name it with --prediction. Columns: {', '.join(here)}.",
        )
    if references is None:
        return Outputs(path, columns)
    there = columns_of(references)
    known = {name: column for name, column in given.items() if name in ("id", "reference") and column in there}
    found = _understood(there, known, str(references), but=("prediction",))
    if "reference" not in found and len(there) == 1:
        found["reference"] = there[0]
    if "reference" not in found:
        raise DataError(
            "No column looks like the right answers",
            where=str(references),
            hint=f"Name it with --reference. Columns: {', '.join(there)}.",
        )
    if ("id" in columns) != ("id" in found):
        with_ids, without = (path, references) if "id" in columns else (references, path)
        raise DataError(
            f"{with_ids.name} has ids, and {without.name} has none, so its rows cannot be told apart",
            where=str(without),
            hint="Add the ids, or name their column with --id.",
        )
    return Outputs(path, columns, references, {name: found[name] for name in ("id", "reference") if name in found})


def _understood(here: Sequence[str], given: Mapping[str, str], where: str, but: Sequence[str] = ()) -> dict[str, str]:
    """The column of each field: named by the caller, or by its usual name; no column is two fields."""
    found: dict[str, str] = {}
    for name, column in given.items():
        if column not in here:
            raise unknown_column(column, here, where=where, hint=f"--{name} names it.")
        found[name] = column
    usual = {_plain(column): column for column in reversed(here)}
    for name, synonyms in SYNONYMS.items():
        if name in found or name in but:
            continue
        free = [usual[known] for known in synonyms if known in usual and usual[known] not in found.values()]
        if free:
            found[name] = free[0]
    return found


def _plain(column: str) -> str:
    """`Model Output` as `model_output`."""
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _good_rows(path: Path) -> Iterator[Row]:
    """The rows of a file in which every record can be read: a lost one would change every score."""
    faults: list[str] = []
    for item in read_file(path):
        if isinstance(item, Fault):
            faults.append(str(item))
        elif not faults:
            yield item
    if faults:
        raise DataError(
            f"{len(faults):,} records cannot be read\n{collect(faults)}\n",
            where=str(path),
            hint="Mend them: an answer that is left out would change every score.",
        )


def _answer(row: Row, number: int, columns: Mapping[str, str], faults: _Missing, *, wants_reference: bool) -> Answer:
    cells = row.values
    value = {name: cells.get(column) for name, column in columns.items()}
    row_id = as_text(value.get("id")) or (str(number) if "id" not in columns else "")
    if not row_id:
        faults.no_id.append(f"{row.file}:{row.line}")
    right = _texts(value.get("reference"), listed=_plain(columns.get("reference", "")) in SYNONYMS["references"])
    if wants_reference and "reference" in columns and not right:
        faults.no_reference.append(row_id)
    others = {
        name: text for name, cell in cells.items() if name not in faults.mine and (text := as_text(cell)) is not None
    }
    numbers: dict[str, Any] = {name: _number(value[name], name, row_id, faults) for name in _FLOATS if name in columns}
    counts = {name: _number(value[name], name, row_id, faults) for name in _INTS if name in columns}
    whole: dict[str, Any] = {name: None if count is None else int(count) for name, count in counts.items()}
    further = value.get("columns")
    return Answer(
        id=row_id,
        reference=right[0] if right else "",
        prediction=_text(value["prediction"]),
        stopped=_stopped(value),
        question=_text(value.get("question")),
        references=tuple(dict.fromkeys((*right[1:], *_texts(value.get("references"))))),
        samples=tuple(_texts(value.get("samples"))),
        columns={**others, **(_mapping(further) if further else {})},
        **numbers,
        **whole,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_text(value) or ""


def _texts(value: Any, *, listed: bool = True) -> list[str]:
    """A value as a list of texts: a list's items, a JSON list written out (where it may be one), or the text alone."""
    if value is None:
        return []
    if isinstance(value, str) and listed and value.lstrip().startswith('["'):
        try:
            value = json.loads(value)
        except ValueError:
            return [value]
    return [_text(item) for item in value] if isinstance(value, list | tuple) else [_text(value)]


def _mapping(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {"columns": value}
    return {str(name): _text(cell) for name, cell in value.items()} if isinstance(value, Mapping) else {}


def _stopped(value: Mapping[str, Any]) -> bool:
    if isinstance(value.get("finish"), str):
        return str(value["finish"]).lower() not in _CUT
    told = value.get("stopped")
    if told is None:
        return True
    return told if isinstance(told, bool) else str(told).strip().lower() not in ("false", "0", "no")


def _number(value: Any, name: str, row_id: str, faults: _Missing) -> float | None:
    """A number, or None for an empty cell; what is neither, or not finite, is noted."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if math.isfinite(found):
        return found
    faults.no_number.setdefault(name, []).append(row_id)
    return None


@dataclass
class _Missing:
    """Rows that lack what they must have, noted until all are read."""

    where: str
    columns: Mapping[str, str]
    no_id: list[str] = field(default_factory=list)
    no_reference: list[str] = field(default_factory=list)
    no_number: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mine = frozenset(self.columns.values())

    def check(self) -> None:
        if self.no_id:
            raise DataError(f"{len(self.no_id):,} rows have no id: {name_ids(self.no_id)}", where=self.where)
        if self.no_reference:
            raise DataError(
                f"{len(self.no_reference):,} rows have no '{self.columns['reference']}' to be held against: "
                f"{name_ids(self.no_reference)}",
                where=self.where,
                hint="Fill them in, or take these rows out of every system's answers.",
            )
        for name, ids in self.no_number.items():
            raise DataError(
                f"{len(ids):,} rows have a '{self.columns[name]}' that is no finite number: {name_ids(ids)}",
                where=self.where,
                hint="Write numbers, and leave the cell empty where there is none.",
            )


class _Ids:
    """Looks out for ids that stand twice, by eight bytes each."""

    def __init__(self, where: str) -> None:
        self._where, self._keys = where, [np.empty(0, np.int64)]

    def add(self, ids: Sequence[str]) -> None:
        self._keys.append(np.fromiter(map(hash, ids), np.int64, len(ids)))

    def check(self, again: Iterable[str]) -> None:
        """Raises a `DataError` if some did; `again` are the same ids, to find out their names."""
        keys, counts = np.unique(np.concatenate(self._keys), return_counts=True)
        twice = frozenset(keys[counts > 1].tolist())
        if twice:
            named = list(dict.fromkeys(row_id for row_id in again if hash(row_id) in twice))
            raise DataError(
                f"{len(named):,} ids stand more than once: {name_ids(named)}",
                where=self._where,
                hint="Give each row an id of its own; further answers to one question belong under `samples`, those of "
                "several systems are told apart by a column `system`.",
            )


def _joined_in_order(
    answers: Iterator[Answer], references: Path, columns: Mapping[str, str], where: str
) -> Iterator[Answer]:
    """Answers and references side by side, as their lines stand."""
    given = wanted = 0
    for answer, row in zip_longest(answers, _good_rows(references)):
        given, wanted = given + (answer is not None), wanted + (row is not None)
        if answer is not None and row is not None:
            right = _texts(row.values.get(columns["reference"]))
            yield replace(answer, reference=right[0] if right else "", references=tuple(right[1:]))
    if given != wanted:
        raise DataError(
            f"There are {given:,} predictions and {wanted:,} references ({references})",
            where=where,
            hint="Without ids, each line of the one stands for a line of the other. Add ids to both.",
        )


def _joined_by_id(answers: Iterator[Answer], references: Path, columns: Mapping[str, str]) -> Iterator[Answer]:
    """Answers with the references of their ids, which wait in a file that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="tunewright-references-") as folder,
        closing(sqlite3.connect(Path(folder) / "references.db", isolation_level=None)) as shelf,
    ):
        count = _shelve(shelf, references, columns)
        strangers: list[str] = []
        used = 0
        while piece := list(islice(answers, PIECE_ROWS)):
            found = _fetch(shelf, [answer.id for answer in piece])
            strangers += [answer.id for answer in piece if answer.id not in found]
            used += len(found)
            for answer in piece:
                if right := found.get(answer.id):
                    yield replace(answer, reference=right[0], references=tuple(right[1:]))
        _check_ids(shelf, strangers, count - used, references)


def _shelve(shelf: sqlite3.Connection, references: Path, columns: Mapping[str, str]) -> int:
    """Puts the references on the shelf; how many there are."""
    shelf.execute("PRAGMA journal_mode=OFF")
    shelf.execute("PRAGMA synchronous=OFF")
    shelf.execute("CREATE TABLE reference (id TEXT PRIMARY KEY, texts TEXT, used INTEGER DEFAULT 0) WITHOUT ROWID")
    twice: list[str] = []
    count = 0
    rows = _good_rows(references)
    shelf.execute("BEGIN")
    while some := list(islice(rows, PIECE_ROWS)):
        for row in some:
            row_id = as_text(row.values.get(columns["id"])) or ""
            texts = json.dumps(_texts(row.values.get(columns["reference"])) or [""])
            done = shelf.execute("INSERT OR IGNORE INTO reference (id, texts) VALUES (?, ?)", (row_id, texts))
            count += done.rowcount
            if not done.rowcount:
                twice.append(row_id)
    shelf.execute("COMMIT")
    if twice:
        raise DataError(f"{len(twice):,} ids stand more than once: {name_ids(twice)}", where=str(references))
    return count


def _fetch(shelf: sqlite3.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    listed = json.dumps(ids)
    query = "SELECT id, texts FROM reference WHERE id IN (SELECT value FROM json_each(?))"
    found = {row_id: json.loads(texts) for row_id, texts in shelf.execute(query, (listed,))}
    shelf.execute("UPDATE reference SET used = 1 WHERE id IN (SELECT value FROM json_each(?))", (listed,))
    return found


def _check_ids(shelf: sqlite3.Connection, strangers: Sequence[str], unused: int, references: Path) -> None:
    """Raises a `DataError` if answers have no reference, or references no answer."""
    faults = []
    if strangers:
        faults.append(f"{len(strangers):,} predictions have no reference ({name_ids(strangers)})")
    if unused > 0:
        ids = [row_id for (row_id,) in shelf.execute("SELECT id FROM reference WHERE used = 0 ORDER BY id LIMIT 3")]
        more = f" and {unused - len(ids):,} more" if unused > len(ids) else ""
        faults.append(f"{unused:,} references have no prediction ({', '.join(ids)}{more})")
    if faults:
        raise DataError(
            " and ".join(faults),
            where=str(references),
            hint="Both files must hold the same rows: what is not answered counts, and cannot be left out.",
        )


def first_pieces(pieces: Iterable[Sequence[Answer]], rows: int) -> list[Answer]:
    """The first answers of some pieces, up to so many."""
    found: list[Answer] = []
    for piece in pieces:
        found += piece[: rows - len(found)]
        if len(found) >= rows:
            break
    return found
