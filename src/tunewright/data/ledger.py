"""What was done to the rows on the way to a dataset, as its ledger has it; and how two datasets differ.

The ledger is `edits.parquet`: an edit for each changed cell and each dropped row. It is scanned, and never held whole.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tunewright.base.errors import DataError, did_you_mean
from tunewright.data.dataset import PARTS, Dataset
from tunewright.data.undoing import edits_of

LEDGER = "edits.parquet"
# Beyond so many words a side, a text is compared by lines first: the comparison's time grows with their product.
_MOST_WORDS = 2000
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class StepEdits:
    """What one step did to one field.

    Args:
        step: The step; steps of one name are counted together.
        field: The column; empty for dropped rows.
        edits: Changed cells, or dropped rows.
    """

    step: str
    field: str
    edits: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Edits of a dataset, or those of one step or row.

    Args:
        dataset: The dataset's hash.
        counts: By step and field, in the recipe's order.
        total: How many edits there are.
        edits: The first of them (`row_id, step, field, before, after, reason, source, line`), by step.
    """

    dataset: str
    counts: tuple[StepEdits, ...]
    total: int
    edits: pl.DataFrame

    def as_json(self) -> dict[str, Any]:
        """The ledger as `--json` prints it, texts whole."""
        return {
            "dataset": self.dataset,
            "counts": [asdict(count) for count in self.counts],
            "total": self.total,
            "shown": self.edits.height,
            "edits": self.edits.to_dicts(),
        }


def read_ledger(dataset: Dataset, *, step: str = "", row: str = "", limit: int = 20) -> Ledger:
    """The edits of a dataset.

    Args:
        dataset: Whose.
        step: Only what this step did; empty: all.
        row: Only what was done to the row of this id; empty: all.
        limit: Most edits to give; counts are of all of them.

    Raises:
        DataError: If the recipe had no such step, or no edit is on record for the row.
    """
    steps = known_steps(dataset)
    if step and step not in steps:
        known = ", ".join(steps) or "none"
        raise DataError(
            f"The step '{step}' is not among this dataset's",
            where=str(dataset.path),
            hint=f"{did_you_mean(step, steps)}Steps: {known}.",
        )
    found = chosen_edits(dataset, step=step, row=row)
    counted = (
        found.group_by("step", pl.col("field").fill_null("")).agg(pl.len().alias("edits")).collect(engine="streaming")
    )
    order = {name: place for place, name in enumerate(steps)}
    counts = sorted(
        (StepEdits(*cells) for cells in counted.iter_rows()), key=lambda each: (order.get(each.step, 99), each.field)
    )
    if row and not counts:
        raise DataError(
            f"No edit of a row '{row}' is on record{f' by the step {step}' if step else ''}",
            where=str(dataset.path),
            hint="Ids of rows stand in the dataset's tables, in its refused rows, and beside each edit that is shown.",
        )
    shown = [pl.DataFrame(schema=found.collect_schema())]
    for name in dict.fromkeys(count.step for count in counts):
        left = limit - sum(each.height for each in shown)
        if left > 0:
            shown.append(found.filter(pl.col("step") == name).head(left).collect(engine="streaming"))
    return Ledger(dataset.hash, tuple(counts), sum(count.edits for count in counts), pl.concat(shown))


def known_steps(dataset: Dataset) -> list[str]:
    """The names of the steps that the ledger may speak of, each once, in order."""
    names = [step["name"] for step in dataset.manifest["steps"]]
    return list(dict.fromkeys([*names, *(["leakage"] if dataset.manifest["leakage"]["dropped"] else [])]))


def chosen_edits(dataset: Dataset, *, step: str = "", row: str = "", field: str = "") -> pl.LazyFrame:
    """The edits of a step, a row and a field; an empty name means any."""
    found = pl.scan_parquet(dataset.path / LEDGER).filter(edits_of(row, field))
    return found.filter(pl.col("step") == step) if step else found


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one row between two datasets.

    Args:
        id: The row's.
        what: `added`, `removed`, `changed` (another conversation), or `moved` (the same, in another part).
        place: Where the row came from, `file:line`.
        parts: The part it was in, and the part it is in; empty where it was or is in none.
        before: The conversation as text; empty where there was none.
        after: Likewise.
    """

    id: str
    what: Literal["added", "removed", "changed", "moved"]
    place: str
    parts: tuple[str, str]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a dataset differs from another.

    Args:
        first: The first one's hash.
        second: The second one's hash.
        counts: Rows by what became of them, `same` among it; a row that changed and moved counts as changed.
        changes: Some of the rows that are not the same.
    """

    first: str
    second: str
    counts: dict[str, int]
    changes: tuple[Change, ...]

    def as_json(self) -> dict[str, Any]:
        """The comparison as `--json` prints it, texts whole."""
        return asdict(self)


_KINDS = ("changed", "removed", "added", "moved")


def compare_datasets(first: Dataset, second: Dataset, *, limit: int = 20) -> Comparison:
    """Rows that were added, removed or changed between two datasets; rows are told apart by their ids.

    Held in memory are 40 bytes or so for each row, and the conversations that are given.

    Raises:
        DataError: If one of them holds documents, whose pieces have no ids of their own.
    """
    for dataset in (first, second):
        if dataset.answer_kind == "document":
            raise DataError(
                "This dataset holds documents, which are not compared row by row",
                where=str(dataset.path),
                hint="See what its steps did to it: tunewright data diff DATASET.",
            )
    both = _digests(first).join(
        _digests(second), on="id", how="full", coalesce=True, suffix="_after", maintain_order="left_right"
    )
    what = (
        pl.when(pl.col("part").is_null())
        .then(pl.lit("added"))
        .when(pl.col("part_after").is_null())
        .then(pl.lit("removed"))
        .when(pl.col("digest") != pl.col("digest_after"))
        .then(pl.lit("changed"))
        .when(pl.col("part") != pl.col("part_after"))
        .then(pl.lit("moved"))
        .otherwise(pl.lit("same"))
    )
    told = both.with_columns(what.alias("what"))
    counted = dict(told["what"].value_counts().iter_rows())
    shown = pl.concat([told.filter(pl.col("what") == kind) for kind in _KINDS]).head(limit)
    old, new = _conversations(first, shown["id"]), _conversations(second, shown["id"])
    changes = []
    for row in shown.iter_rows(named=True):
        (was_at, before), (is_at, after) = (each.get(row["id"], ("", "")) for each in (old, new))
        parts = (row["part"] or "", row["part_after"] or "")
        changes.append(Change(row["id"], row["what"], is_at or was_at, parts, before, after))
    return Comparison(
        first.hash, second.hash, {kind: counted.get(kind, 0) for kind in (*_KINDS, "same")}, tuple(changes)
    )


def _digests(dataset: Dataset) -> pl.DataFrame:
    """For each row its id, its part, and a hash of its conversation."""
    return pl.concat(
        [
            _scan(dataset.path, part)
            .select("id", pl.lit(part, pl.Enum(list(PARTS))).alias("part"), _text().hash().alias("digest"))
            .collect(engine="streaming")
            for part in PARTS
        ]
    )


def _conversations(dataset: Dataset, ids: pl.Series) -> dict[str, tuple[str, str]]:
    """By id, where some rows came from and what they say."""
    place = pl.concat_str("source", pl.lit(":"), pl.col("line").cast(pl.String))
    found: dict[str, tuple[str, str]] = {}
    for part in PARTS:
        rows = _scan(dataset.path, part).filter(pl.col("id").is_in(ids.to_list())).select("id", place, _text())
        found |= {row_id: (place, text) for row_id, place, text in rows.collect(engine="streaming").iter_rows()}
    return found


def _scan(folder: Path, part: str) -> pl.LazyFrame:
    return pl.scan_parquet(folder / f"{part}.parquet")


def _text() -> pl.Expr:
    """A conversation as text, `role: content` for each message, and the rejected answer where there is one."""
    message = pl.concat_str(
        [
            pl.element().struct.field("role"),
            pl.lit(": "),
            pl.element().struct.field("content"),
            pl.element().struct.field("tool_calls").fill_null(""),
        ]
    )
    told = pl.col("messages").list.eval(message).list.join("\n")
    worse = pl.when(pl.col("rejected").is_not_null()).then(pl.concat_str(pl.lit("\nrejected: "), "rejected"))
    return pl.concat_str(told, worse.otherwise(pl.lit(""))).alias("text")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text that was changed: `same`, `gone` (only before) or `new` (only after)."""

    kind: Literal["same", "gone", "new"]
    text: str


def word_diff(before: str, after: str) -> list[Span]:
    """What to take out of a text and put into it, word by word, to get another.

    The `same` and `gone` spans together are the text before; the `same` and `new` ones the text after.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    spans: list[Span] = []
    for what, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            spans.append(Span("same", "".join(old[i:j])))
            continue
        if i < j:
            spans.append(Span("gone", "".join(old[i:j])))
        if k < m:
            spans.append(Span("new", "".join(new[k:m])))
    return spans
