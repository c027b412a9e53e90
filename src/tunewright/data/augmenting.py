"""Training rows in other words: made, judged, counted, and kept only where a trial does not speak against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.base.errors import DataError
from tunewright.base.seeds import derive
from tunewright.data.answers import AnswerKind, strata
from tunewright.data.augmentations._protocol import Kit
from tunewright.data.clean import LOG
from tunewright.data.conversations import EXAMPLES
from tunewright.data.dataset import Part
from tunewright.data.glossary import confirmed_terms
from tunewright.data.judging import Judge, find_judge, least_similarity
from tunewright.data.pieces import Chosen, Pieces
from tunewright.data.questions import asked as asked_of
from tunewright.data.variants import Ground, Made, keys_of, make
from tunewright.recipe.augment import Augment
from tunewright.recipe.schema import Data

STEP = "augment"
AUGMENTED = "augmented"  # the file of `Augmented.origins`
# Enough for a classifier to know each class, few enough to be quick.
_LEARNED_ROWS = 5_000
_HELD_ROWS = 2_000

ORIGINS: dict[str, Any] = {"id": pl.String, "parent": pl.String, "by": pl.String, "similarity": pl.Float64}


@dataclass(frozen=True, slots=True)
class Sample:
    """A text and its class, as a trial sees them; `parent` is the id of the row that it is, or was made of."""

    text: str
    label: str
    parent: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial is given.

    Args:
        own: Training rows.
        made: What was made of these.
        held: Validation rows.
        times: How often to try.
        seed: The recipe's.
    """

    own: Sequence[Sample]
    made: Sequence[Sample]
    held: Sequence[Sample]
    times: int
    seed: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out of a trial: whether to keep the rows, its figures as JSON, and a sentence for people."""

    keep: bool
    figures: Mapping[str, Any]
    told: str


Try = Callable[[Trial], Verdict]


@dataclass(frozen=True, slots=True)
class Augmented:
    """What was made.

    Args:
        rows: New training rows, in the columns of examples; none where the trial spoke against them.
        log: The ledger's entry for each: no `before`, and the conversation as JSON `after`.
        origins: For each its parent, what made it, and how like its parent it is (`id, parent, by, similarity`).
        report: Counts and figures, as JSON.
    """

    rows: Pieces
    log: Pieces
    origins: pl.DataFrame
    report: dict[str, Any]


def augment_parts(parts: Mapping[Part, Chosen], data: Data, kind: AnswerKind, kit: Kit, trial: Try | None) -> Augmented:
    """Makes new training rows of those that there are.

    Args:
        parts: The rows, as examples. Nothing is made of a text that is held out, or equal to one.
        data: What the recipe says of them.
        kind: What the answers are.
        kit: What augmentations may use; its seed decides what is drawn.
        trial: Tries the rows out; None where nothing can.

    Raises:
        DataError: If an augmentation lacks a setting, the answers do not fit, or rows cannot be tried out.
        ModelError: If the text encoder is asked for, and is not on this machine.
    """
    asked, train, held = _with_glossaries(data), parts["train"], [parts["validation"], parts["test"]]
    _check(asked, kind)
    labels, names = strata([piece["answer"] for piece in train], kind)
    told_apart = len(names) > 1
    if asked.trial:
        _check_trial(told_apart, parts["validation"].height, trial)
    ground = Ground(train, labels, names, told_apart and asked.check_labels, kind, data.template)
    drawn = _drawn(labels, _LEARNED_ROWS, derive(kit.seed, "augment", "learned"))
    samples = _samples(train, drawn, ground.names, labels)
    judge = find_judge(
        asked.similarity,
        [sample.text for sample in samples],
        [sample.label for sample in samples] if ground.checked else None,
        cache=kit.cache,
        seed=derive(kit.seed, "augment", "judge"),
        listener=kit.listener,
    )
    made = make(ground, np.concatenate([keys_of(part) for part in held]), asked, judge, kit)
    verdict = None
    if asked.trial and trial is not None and made.rows.height:
        verdict = trial(_trial(samples, made, parts["validation"], ground, asked.trials, kit.seed))
    keep = verdict is None or verdict.keep
    report = _report(asked, judge, made, verdict, checked=len(samples) if ground.checked else 0)
    return Augmented(*_settled(made.rows if keep else Pieces()), report)


def _with_glossaries(data: Data) -> Augment:
    """The settings, protecting the confirmed terms of every glossary that a step names."""
    files = [getattr(step, "file" if step.plugin == "glossary" else "glossary", "") for step in data.steps]
    terms = [term for file in dict.fromkeys(files) if file for term in confirmed_terms(file)]
    forms = dict.fromkeys(form for term in terms for form in (term.form, *term.variants))
    return data.augment.model_copy(update={"protect": (*data.augment.protect, *forms)})


def _check(asked: Augment, kind: AnswerKind) -> None:
    for config in asked.by:
        if found := config.unfit():
            raise DataError(found, where="data.augment.by")
    if kind in ("tags", "document"):
        raise DataError(
            f"Answers of the kind '{kind}' belong to single words, and these would change",
            where="data.augment",
            hint="Take data.augment out.",
        )


def _check_trial(told_apart: bool, held: int, trial: Try | None) -> None:
    what = ""
    if not told_apart:
        what = "These rows have no classes, so no light classifier can try augmented ones"
    elif not held:
        what = "There are no validation rows to try augmented ones on"
    elif trial is None:
        what = "Augmented rows cannot be tried here"
    if what:
        raise DataError(
            what, where="data.augment.trial", hint="Set data.augment.trial to false to keep such rows untried."
        )


def _drawn(labels: NDArray[np.int32], most: int, seed: int) -> NDArray[np.int64]:
    """Some rows, of each class its share and at least one, in their order."""
    if len(labels) <= most:
        return np.arange(len(labels))
    random = np.random.default_rng(seed)
    parts = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        parts.append(random.permutation(rows)[: max(1, round(most * len(rows) / len(labels)))])
    return np.sort(np.concatenate(parts))


def _samples(rows: Chosen, drawn: NDArray[np.int64], names: Sequence[str], labels: NDArray[np.int32]) -> list[Sample]:
    places = np.flatnonzero(rows.mask)[drawn]
    records = rows.rows.take(places.tolist()).select("id", "messages").iter_rows(named=True)
    return [
        Sample(asked_of(record, {}), names[labels[row]], record["id"])
        for record, row in zip(records, drawn.tolist(), strict=True)
    ]


def _trial(own: Sequence[Sample], made: Made, validation: Chosen, ground: Ground, times: int, seed: int) -> Trial:
    parents = {sample.parent for sample in own}
    variants = [
        Sample(asked_of(record, {}), ground.names[record["label"]], record["parent"])
        for piece in made.rows
        for record in piece.select("messages", "label", "parent").iter_rows(named=True)
        if record["parent"] in parents
    ]
    labels, names = strata([piece["answer"] for piece in validation], ground.kind)
    held = _samples(validation, _drawn(labels, _HELD_ROWS, derive(seed, "augment", "held")), names, labels)
    return Trial(own, variants, held, times, seed)


def _report(asked: Augment, judge: Judge, made: Made, verdict: Verdict | None, *, checked: int) -> dict[str, Any]:
    origins = made.rows.whole("by", "similarity")
    by = origins.group_by("by").len().sort("by")
    return {
        "rows": 0 if verdict is not None and not verdict.keep else origins.height,
        "tried": made.tried,
        "made": origins.height,
        "by": dict(by.iter_rows()),
        "rejected": dict(made.rejected.most_common()),
        "similarity": {
            "measure": judge.measure,
            "least": least_similarity(judge, asked.least_similarity),
            "most": asked.most_similarity,
            "mean": origins["similarity"].mean(),
        },
        "label_check_rows": checked,
        "trial": None if verdict is None else {"kept": verdict.keep, "told": verdict.told, **verdict.figures},
    }


def _settled(made: Pieces) -> tuple[Pieces, Pieces, pl.DataFrame]:
    """The rows, their entries in the ledger, and where they come from."""
    rows, log = Pieces.of([pl.DataFrame(schema=EXAMPLES)]), Pieces.of([pl.DataFrame(schema=LOG)])
    origins = [pl.DataFrame(schema=ORIGINS)]
    for piece in made:
        rows.add(piece.select(list(EXAMPLES)))
        log.add(_entries(piece))
        origins.append(piece.select(list(ORIGINS)))
    return rows, log, pl.concat(origins)


def _entries(piece: pl.DataFrame) -> pl.DataFrame:
    return piece.select(
        pl.col("id").alias("row_id"),
        pl.lit(STEP).alias("step"),
        pl.lit(None, pl.String).alias("field"),
        pl.lit(None, pl.String).alias("before"),
        pl.struct("messages").struct.json_encode().alias("after"),
        pl.format("made of {} by {}", "parent", "by").alias("reason"),
        "source",
        "line",
    )


def told(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a person should hear of it: (text, level)."""
    by = ", ".join(f"{count:,} by {name}" for name, count in report["by"].items())
    gone = sum(report["rejected"].values())
    found = [(f"Augmentation made {report['made']:,} training rows ({by or 'none'}); {gone:,} were rejected.", "info")]
    if (trial := report["trial"]) is not None:
        found.append((trial["told"], "info" if trial["kept"] else "warning"))
    return found
