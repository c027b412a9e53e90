"""The rows of a file that a model is to be measured on: cleaned and made conversations of, and nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.data.answers import AnswerKind, kind_of
from tunewright.data.clean import clean
from tunewright.data.conversations import converse
from tunewright.data.dataset import as_examples
from tunewright.data.example import Example
from tunewright.data.findings import check_usable, first_faults
from tunewright.data.formats import Format, choose_format
from tunewright.data.frame import RESERVED, ColumnsConfig, StepConfig
from tunewright.data.readers import check_columns, columns_of, find_files, short_names
from tunewright.data.table import SourceFile, distinct_ids, read_table
from tunewright.recipe.schema import Data, Source


@dataclass(frozen=True)
class HeldRows:
    """What a file amounts to.

    Args:
        examples: The rows that can be asked, in the file's order; `columns` are all its other cells.
        keys: What the prompt of each is known by, white space and case apart.
        kind: What an answer is.
        read: Records met.
        refused: Those that could not be used (`row_id, source, line, stage, reason`).
        files: The files, with their hashes.
        skipped: Steps that were left out, since the file lacks their columns.
    """

    examples: tuple[Example, ...]
    keys: tuple[str, ...]
    kind: AnswerKind
    read: int
    refused: pl.DataFrame
    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...] = ()


def read_held(
    data: Data,
    source: Source,
    *,
    called: Mapping[str, str] | None = None,
    kind: str = "auto",
    cache: Path | None = None,
    listener: Listener = ignore,
) -> HeldRows:
    """Reads, cleans and converses rows as a recipe does with a test file of its own.

    Steps that compare training rows are left out. One that surveys the rows first (the order of dates, repeated
    signatures) surveys these, since the training rows need not be at hand.

    Args:
        data: The recipe's; its own sources are not looked at.
        source: Where the rows are.
        called: What a column of the recipe is called in the file, where that differs.
        kind: What an answer is; `auto` finds it out from all of them.
        cache: The workspace's, where models lie that steps may need.
        listener: Hears a stage "data".

    Raises:
        DataError: If the file or a column is wrong, too many rows cannot be used, or none is left.
    """
    listener(Stage("data", "started"))
    format = choose_format(data.model_copy(update={"train": (source,)}))
    if format.name == "prompts":
        raise DataError(
            "Rows that ask and do not answer have nothing to measure answers by",
            where=source.path,
            hint="Bring rows with answers, or let the run's own test rows be graded: tunewright eval RELEASE.",
        )
    files = find_files(source)
    present = list(source.columns) or list(dict.fromkeys(name for file in files for name in columns_of(file)))
    if called:
        format = cast(Format, _Called(format, called))
        present += [name for name in called if name not in present]
    check_columns(source, format.needed, hint=_origin(data, format))
    steps, skipped = _steps(data, present, format, cache, listener)
    carried = [n for n in present if n not in format.needed and not format.makes(n) and n not in RESERVED]
    table = read_table([source], format, carried, names=short_names(files), listener=listener)
    most = data.max_unusable_share
    check_usable("test", table.total, table.refused, most)
    (rows,) = distinct_ids([table.rows])
    cleaned = clean(rows, steps, format, held_out=True, undo=data.undo)
    declared = data.answer if kind == "auto" else kind
    examples, misfits = converse(cleaned.rows, format, declared, listener=listener)
    refused = pl.concat([table.refused, cleaned.refused, misfits])
    check_usable("test", table.total, refused, most)
    whole = examples.whole()
    examples.discard()
    if not whole.height:
        raise DataError("No row is left to measure on", where=source.path, hint=first_faults(refused))
    found = cast(AnswerKind, declared) if declared != "auto" else kind_of([whole["answer"]])
    listener(Stage("data", "finished"))
    return HeldRows(
        tuple(as_examples(whole, found)),
        tuple(whole["prompt_key"]),
        found,
        table.total,
        refused,
        table.files,
        skipped,
    )


def _origin(data: Data, format: Format) -> str:
    return "data.template asks for it." if data.template else f"The format '{format.name}' needs it."


def _steps(
    data: Data, present: Sequence[str], format: Format, cache: Path | None, listener: Listener
) -> tuple[list[StepConfig], tuple[str, ...]]:
    """The recipe's steps that a file can be cleaned by, on those of their columns that it has; and the others' names.

    A file to be measured on need not have what only a step wanted.
    """
    steps, skipped = [], []
    for step in cast(tuple[StepConfig, ...], data.steps):
        if not step.held_out:
            continue
        here = [name for name in step.needed() if name in present or format.makes(name)]
        if len(here) < len(step.needed()):
            if not isinstance(step, ColumnsConfig) or not here:
                skipped.append(step.plugin)
                continue
            step = step.model_copy(update={"columns": tuple(name for name in step.columns if name in here)})
        steps.append(step.at(cache, listener))
    return steps, tuple(skipped)


class _Called:
    """A format over rows whose columns are called otherwise; the rows keep their own names, and so their ids."""

    def __init__(self, format: Format, called: Mapping[str, str]) -> None:
        self._format, self._called = format, called
        self.name, self.pairs = format.name, format.pairs
        self.needed = tuple(called.get(name, name) for name in format.needed)

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        return self._format.flatten({**values, **{ours: values.get(theirs) for ours, theirs in self._called.items()}})

    def makes(self, column: str) -> bool:
        return column in self._called or self._format.makes(column)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._format, name)


def with_limit(held: HeldRows, rows: Sequence[int]) -> HeldRows:
    """Some of the rows, by number."""
    return replace(held, examples=tuple(held.examples[row] for row in rows), keys=tuple(held.keys[row] for row in rows))
