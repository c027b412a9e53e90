"""A prepared dataset: examples in three parts, and the record of how they came to be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.files import read_json
from tunewright.data.answers import AnswerKind, answer_fields
from tunewright.data.documents import Section
from tunewright.data.example import Example, Message
from tunewright.data.tool_rows import CALLS, RESULT_OF, read_cells, read_tools

Part = Literal["train", "validation", "test", "challenger"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
CHALLENGER: Part = "challenger"  # measured apart and never learned; only where a recipe names such rows
GENERAL = "general"  # rows that are replayed against forgetting: no part of the task's own data
MANIFEST = "dataset.json"
_SECTIONS_AT_ONCE = 16
_EXAMPLES_AT_ONCE = 1024


class StoredPayload(Protocol):
    """What the store gives for an artifact, as far as a dataset needs it."""

    @property
    def hash(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def manifest(self) -> dict[str, Any]: ...


class Shelf(Protocol):
    """The part of a workspace that a dataset is put into."""

    def put(
        self,
        kind: str,
        fill: Callable[[Path], object],
        *,
        manifest: Mapping[str, Any],
        parents: Sequence[str] = (),
        producer: str = "",
    ) -> StoredPayload:
        """Stores what `fill` writes under the hash of its content."""
        ...

    def artifacts(self, kind: str | None = None) -> Sequence[StoredPayload]:
        """All that is stored, or all of one kind."""
        ...

    def artifact(self, hash_or_prefix: str, kind: str | None = None) -> StoredPayload:
        """What is stored under a hash, or under the one that begins so."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A dataset artifact.

    Args:
        hash: The artifact's hash.
        path: Its folder: `train.parquet`, `validation.parquet`, `test.parquet` (the examples), `edits.parquet` (each
            changed cell and dropped row), `refused.parquet` (each record that could not be used), `dataset.json`; and
            `general.parquet` where the recipe names general rows; `augmented.parquet` (`id, parent, by, similarity`)
            where rows were augmented.
        manifest: What was read, cleaned, refused, split and found, and for which recipe; plain JSON.
    """

    hash: str
    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, stored: StoredPayload) -> Dataset:
        """The dataset in a stored artifact.

        Raises:
            DataError: If the artifact is no dataset.
        """
        try:
            content = read_json(stored.path / MANIFEST)
        except FileNotFoundError:
            raise DataError("This artifact is no dataset", where=str(stored.path)) from None
        return cls(stored.hash, stored.path, {**stored.manifest, **content, "hash": stored.hash})

    @property
    def answer_kind(self) -> AnswerKind:
        """What an answer is: `label`, `tags`, `json`, `text`, `tool_call`.

        `prompt` for questions without answers, `document` for plain documents.
        """
        kind: AnswerKind = self.manifest["answer_kind"]
        return kind

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, or all tags, sorted; empty where the answers are neither."""
        return tuple(self.manifest["labels"])

    @property
    def leaked(self) -> frozenset[str]:
        """Ids of the test and validation rows whose text also stands in the training data."""
        held = [pl.read_parquet(self.path / f"{part}.parquet", columns=["id", "leaked"]) for part in PARTS[1:]]
        return frozenset(pl.concat(held).filter("leaked")["id"])

    def table(self, part: Part) -> pl.DataFrame:
        """The rows of a part; of documents their sections: `id, source, line, text, leaked`.

        Else `id, source, line, messages, tools, answer, rejected, columns, leaked`, with `item` where graders read it.
        """
        self._check_part(part)
        return pl.read_parquet(self.path / f"{part}.parquet")

    @property
    def has_challenger(self) -> bool:
        """Whether it holds challenger rows."""
        return CHALLENGER in self.manifest["splits"]

    def _check_part(self, part: str) -> None:
        known = (*PARTS, CHALLENGER) if self.has_challenger else PARTS
        if part not in known:
            raise DataError(f"'{part}' is no part of this dataset", hint=f"Known: {', '.join(known)}.")

    def examples(self, part: Part) -> list[Example]:
        """The examples of a part, in the order of their sources.

        Raises:
            DataError: If the rows are documents, which `sections` streams.
        """
        return list(self.each(part))

    def each(self, part: Part) -> Iterator[Example]:
        """`examples` one after another, a few of them in memory at a time."""
        if self.answer_kind == "document":
            raise DataError("This dataset holds documents, and no conversations", where=str(self.path))
        self._check_part(part)
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path / f"{part}.parquet") as file:
            for batch in file.iter_batches(batch_size=_EXAMPLES_AT_ONCE):
                yield from as_examples(pl.DataFrame(batch), self.answer_kind)

    def sections(self, part: Part) -> Iterator[Section]:
        """The documents of a part, section by section, in the order of their sources; read as they are asked for."""
        import pyarrow.parquet as pq

        columns = ["id", "source", "line", "text"]
        with pq.ParquetFile(self.path / f"{part}.parquet") as file:
            for batch in file.iter_batches(batch_size=_SECTIONS_AT_ONCE, columns=columns):
                yield from (Section(**row) for row in batch.to_pylist())

    def general(self) -> list[Example]:
        """The general rows of `forgetting.data`; none where the recipe names no such."""
        place = self.path / f"{GENERAL}.parquet"
        return as_examples(pl.read_parquet(place), self.answer_kind) if place.exists() else []


def as_examples(table: pl.DataFrame, kind: str) -> list[Example]:
    """Rows as they are stored, or as `converse` makes them, as examples.

    Args:
        table: `id, source, line, messages, answer`, and perhaps `rejected, tools, columns, item`.
        kind: What an answer is; of JSON the fields are read.
    """
    for column in ("rejected", "tools", "columns", "item"):
        if column not in table.columns:  # made by a version that knew no such thing
            table = table.with_columns(pl.lit(None, pl.String).alias(column))
    rows = table.select("id", "messages", "answer", "source", "line", "rejected", "tools", "columns", "item")
    return [
        Example(
            id=row_id,
            messages=tuple(map(read_message, messages)),
            fields=(answer_fields(answer) or {}) if kind == "json" else {},
            source=source,
            line=line,
            rejected=rejected,
            tools=read_tools(tools),
            columns=json.loads(columns) if columns else {},
            item=json.loads(item) if item else {},
        )
        for row_id, messages, answer, source, line, rejected, tools, columns, item in rows.iter_rows()
    ]


def read_message(value: Mapping[str, Any]) -> Message:
    """A message as examples are stored."""
    calls = read_cells(value.get(CALLS), "messages")
    return Message(value["role"], value["content"], value["weight"], calls, value.get(RESULT_OF) or "")
