"""Labels that were right and labels that were given, and what is counted of them: shared by precision, recall and F1.

The labels are those of the references. An answer that is none of them is a miss for the right label and opens no
class of its own: else a model that chats freely would be averaged over its own inventions. A resample is averaged over
the labels that occur in it, as reference or as answer. On the whole set averages equal scikit-learn's over
`labels=<reference labels>`.

Of an answer two fingerprints are kept, 16 bytes, and no text; they equal where the stripped texts do. (BLAKE2b, 64
bits: a million different answers against 1,000 labels meet by chance once in 10¹⁰ such evaluations.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Ints, Measure, Sums
from tunewright.metrics._pieces import Observed

Average = Literal["micro", "macro", "weighted"]

_REFERENCE, _PREDICTION = "reference", "prediction"


class LabelsConfig(PluginConfig):
    """Settings of what is averaged over labels."""

    averages: tuple[Average, ...] = Field(
        ("micro", "macro", "weighted"),
        description="`micro`: all rows together; `macro`: each label counts the same; `weighted`: by its rows.",
    )
    per_class: bool = Field(False, description="Whether each label is a measure of its own as well.")
    zero_division: Literal[0, 1] = Field(
        0, description="The value where there is nothing to divide by, as in scikit-learn."
    )


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What resamples hold of each label, shape (..., labels) each: right answers, answers, references."""

    right: Floats
    given: Floats
    wanted: Floats


Score = Callable[[Counts, int], Floats]  # of counts and zero_division, label by label


def observe_labels(metric: str, answers: Sequence[Answer]) -> Observed:
    """The fingerprints of what was right and of what was given.

    Raises:
        InputError: If there are no answers.
    """
    require_answers(metric, answers)
    known: dict[str, int] = {}

    def fingerprint(text: str) -> int:
        found = known.get(text)
        if found is None:
            found = known[text] = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        return found

    wanted = [answer.reference.strip() for answer in answers]
    arrays = {
        _REFERENCE: np.array([fingerprint(text) for text in wanted], dtype=np.uint64),
        _PREDICTION: np.array([fingerprint(answer.prediction.strip()) for answer in answers], dtype=np.uint64),
    }
    return Observed(len(answers), arrays, {known[text]: text for text in dict.fromkeys(wanted)})


def label_measures(config: LabelsConfig, observed: Observed, score: Score, *, stem: str) -> list[Measure]:
    """A measure for each average, `<stem>_<average>`, and for each label that is asked for, `<stem>[<label>]`.

    Args:
        score: The metric of counts, label by label.
        stem: What the measures' names begin with.
    """
    hits, sums, tally, names = _tabulate(observed)
    settings = partial(_average, tally=tally, score=score, zero_division=config.zero_division)
    found = [
        Measure(f"{stem}_{average}", hits, sums=sums, formula=partial(settings, average=average))
        for average in config.averages
    ]
    if not config.per_class:
        return found
    by_label = sorted(range(len(names)), key=lambda label: names[label])
    return found + [
        Measure(f"{stem}[{names[label]}]", hits, sums=sums, formula=partial(settings, average=label))
        for label in by_label
    ]


def label_measure(name: str, observed: Observed, score: Score, *, average: Average) -> Measure:
    """One average under a name of its own."""
    hits, sums, tally, _ = _tabulate(observed)
    formula = partial(_average, tally=tally, score=score, zero_division=0, average=average)
    return Measure(name, hits, sums=sums, formula=formula)


def average_names(config: LabelsConfig, stem: str) -> list[str]:
    """The names of the averages that settings ask for."""
    return [f"{stem}_{average}" for average in config.averages]


def precision(counts: Counts, zero_division: int) -> Floats:
    """Right answers among those that give a label."""
    return _divide(counts.right, counts.given, zero_division)


def recall(counts: Counts, zero_division: int) -> Floats:
    """Right answers among the rows that have a label."""
    return _divide(counts.right, counts.wanted, zero_division)


def f1(counts: Counts, zero_division: int) -> Floats:
    """The harmonic mean of precision and recall, as one fraction: 2 · right / (given + wanted)."""
    return _divide(2 * counts.right, counts.given + counts.wanted, zero_division)


_Table = tuple[Floats, Sums, "_Tally", Mapping[int, str]]


def _tabulate(observed: Observed) -> _Table:
    """Whether each answer is right; its kind (a label, and what was given for it); what counts kinds; labels' names.

    Whatever is no label shares one number behind the labels. The last table is kept: precision, recall and F1 of the
    same answers share one, and so the same resamples, which are drawn once.
    """
    arrays = (observed.arrays[_REFERENCE], observed.arrays[_PREDICTION])
    if not (_last and all(map(np.array_equal, _last[0], arrays))):
        _last[:] = [arrays, _make_table(observed)]
    table: _Table = _last[1]
    return table


def _make_table(observed: Observed) -> _Table:
    wanted, given = observed.arrays[_REFERENCE], observed.arrays[_PREDICTION]
    labels, reference = np.unique(wanted, return_inverse=True)
    place = np.minimum(np.searchsorted(labels, given), len(labels) - 1)
    prediction = np.where(labels[place] == given, place, len(labels))
    width = len(labels) + 1
    met, codes = np.unique(reference * width + prediction, return_inverse=True)
    pairs: Ints = np.stack([met // width, met % width])
    sums = Sums(codes=codes.astype(np.int32), cells=len(met))
    names = {label: observed.names[int(mark)] for label, mark in enumerate(labels)}
    return (wanted == given).astype(np.float64), sums, _Tally(pairs, len(labels)), names


_last: list[Any] = []


class _Tally:
    """Takes how often each pair of a label and an answer occurs, shape (..., pairs), and counts by label.

    What it counted last is kept: all averages, and each label, ask it for the same resamples in turn.
    """

    def __init__(self, pairs: Ints, labels: int) -> None:
        self._pairs, self._labels = pairs, labels
        self._last: tuple[Floats, Counts] | None = None

    def __call__(self, sums: Floats) -> Counts:
        if self._last is None or self._last[0] is not sums:
            self._last = (sums, self._count(sums.reshape(-1, sums.shape[-1])))
        return self._last[1]

    def __getstate__(self) -> tuple[Ints, int]:
        return self._pairs, self._labels

    def __setstate__(self, state: tuple[Ints, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def _count(self, flat: Floats) -> Counts:
        from scipy.sparse import csr_array

        (reference, prediction), labels = self._pairs, self._labels
        rows = np.arange(len(reference))
        right, known = reference == prediction, prediction < labels
        # One product adds up all three: what is right in the first columns, what is given and what is wanted behind.
        row = np.concatenate([rows[right], rows[known], rows])
        column = np.concatenate([reference[right], labels + prediction[known], 2 * labels + reference])
        spread = csr_array((np.ones(len(row)), (row, column)), shape=(len(reference), 3 * labels))
        summed = np.asarray(flat @ spread)
        return Counts(summed[:, :labels], summed[:, labels : 2 * labels], summed[:, 2 * labels :])


def _average(sums: Floats, *, tally: _Tally, score: Score, zero_division: int, average: Average | int) -> Floats:
    """How often each pair of a label and an answer occurs, shape (..., pairs), as one number: shape (...)."""
    counts = tally(sums)
    if isinstance(average, int):
        each = score(counts, zero_division)[:, average]
    elif average == "micro":
        whole = [array.sum(axis=1, keepdims=True) for array in (counts.right, counts.given, counts.wanted)]
        each = score(Counts(*whole), zero_division)[:, 0]
    else:
        scores = score(counts, zero_division)
        weights = counts.wanted if average == "weighted" else ((counts.given + counts.wanted) > 0).astype(np.float64)
        each = (scores * weights).sum(axis=1) / weights.sum(axis=1)
    averaged: Floats = np.asarray(each)
    return averaged.reshape(sums.shape[:-1])


def _divide(part: Floats, whole: Floats, zero_division: int) -> Floats:
    shares: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), float(zero_division))
    return shares
