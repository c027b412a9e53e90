"""What was done to the rows on the way to a dataset, as its ledger has it; and how two datasets differ.

The ledger is `edits.parquet`: an edit for each changed cell, dropped row and added row. It is scanned, and never held
whole.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.base.errors import DataError, did_you_mean
from tunewright.data.dataset import PARTS, Dataset
from tunewright.data.undoing import edits_of

LEDGER = "edits.parquet"
# Beyond so many words a side, a text is compared by lines first: the comparison's time grows with their product.
_MOST_WORDS = 2000
# Words that two texts share by chance are no help to who reads.
_LEAST_SHARED = 0.2
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class StepEdits:
    """What one step did to one field.

    Args:
        step: The step; steps of one name are counted together.
        field: The column; empty for dropped rows, and for those that augmenting has added.
        edits: Changed cells, or dropped or added rows.
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
        edits: The first of each step (`row_id, step, field, before, after, reason, source, line`).
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
    names = list(dict.fromkeys(count.step for count in counts))
    for place, name in enumerate(names):
        # Each step gets its share; what one does not need goes to those after it.
        share = math.ceil((limit - sum(each.height for each in shown)) / (len(names) - place))
        shown.append(found.filter(pl.col("step") == name).head(share).collect(engine="streaming"))
    return Ledger(dataset.hash, tuple(counts), sum(count.edits for count in counts), pl.concat(shown))


def known_steps(dataset: Dataset) -> list[str]:
    """The names of the steps that the ledger may speak of, each once, in order."""
    names = [step["name"] for step in dataset.manifest["steps"]]
    # Behind the steps, what else has left a mark: rows that left train because they leak, or were added.
    found = pl.scan_parquet(dataset.path / LEDGER).select(pl.col("step").unique().sort()).collect(engine="streaming")
    return list(dict.fromkeys([*names, *found["step"]]))


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


Hashes = npt.NDArray[np.uint64]
# Of five million ids two share a hash of 64 bits once in a million datasets.
_KEY = pl.col("id").hash().alias("key")


def compare_datasets(first: Dataset, second: Dataset, *, limit: int = 20) -> Comparison:
    """Rows that were added, removed or changed between two datasets; rows are told apart by their ids.

    Held in memory are some tens of bytes for each row, and the conversations that are given.

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
    old, new = _digests(first), _digests(second)
    _, here, there = np.intersect1d(old.keys, new.keys, assume_unique=True, return_indices=True)
    order = np.argsort(here)
    here, there = here[order], there[order]
    is_changed = old.texts[here] != new.texts[there]
    is_moved = ~is_changed & (old.parts[here] != new.parts[there])
    rows: dict[str, Hashes] = {
        "changed": old.keys[here[is_changed]],
        "removed": np.delete(old.keys, here),
        "added": np.delete(new.keys, there),
        "moved": old.keys[here[is_moved]],
    }
    counts = {what: len(keys) for what, keys in rows.items()}
    counts["same"] = len(here) - counts["changed"] - counts["moved"]
    shown = [(what, int(key)) for what, keys in rows.items() for key in keys[:limit].tolist()][:limit]
    wanted = [key for _, key in shown]
    before, after = _conversations(first, wanted), _conversations(second, wanted)
    changes = tuple(_change(what, before.get(key), after.get(key)) for what, key in shown)
    return Comparison(first.hash, second.hash, counts, changes)


@dataclass(frozen=True, slots=True)
class _Conversation:
    id: str
    place: str
    part: str
    text: str


_NOWHERE = _Conversation("", "", "", "")


def _change(what: Any, before: _Conversation | None, after: _Conversation | None) -> Change:
    old, new = before or _NOWHERE, after or _NOWHERE
    return Change(old.id or new.id, what, new.place or old.place, (old.part, new.part), old.text, new.text)


@dataclass(frozen=True, slots=True)
class _Digests:
    """For each row of a dataset a hash of its id, one of its conversation, and its part's number, shape (n,)."""

    keys: Hashes
    texts: Hashes
    parts: npt.NDArray[np.int8]


def _digests(dataset: Dataset) -> _Digests:
    keys, texts, parts = [], [], []
    for number, part in enumerate(PARTS):
        read = _scan(dataset.path, part).select(_KEY, _text().hash().alias("digest")).collect(engine="streaming")
        keys.append(read["key"].to_numpy())
        texts.append(read["digest"].to_numpy())
        parts.append(np.full(read.height, number, dtype=np.int8))
    return _Digests(np.concatenate(keys), np.concatenate(texts), np.concatenate(parts))


def _conversations(dataset: Dataset, keys: Sequence[int]) -> dict[int, _Conversation]:
    """Some rows, by the hashes of their ids."""
    place = pl.concat_str("source", pl.lit(":"), pl.col("line").cast(pl.String)).alias("place")
    wanted = pl.Series(keys, dtype=pl.UInt64).implode()
    found: dict[int, _Conversation] = {}
    for part in PARTS:
        rows = _scan(dataset.path, part).filter(_KEY.is_in(wanted)).select(_KEY, "id", place, _text())
        for key, row, where, text in rows.collect(engine="streaming").iter_rows():
            found[key] = _Conversation(row, where, part, text)
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

    The `same` and `gone` spans together are the text before; the `same` and `new` ones the text after. Two texts that
    have next to nothing in common are told one behind the other.
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
    shared = sum(sign.isalnum() for span in spans if span.kind == "same" for sign in span.text)
    if min(len(before), len(after)) and shared < _LEAST_SHARED * min(len(before), len(after)):
        return [Span("gone", before), Span("new", after)]
    return spans
