"""Rows whose label is likely wrong, found again and again until none is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tunewright.data.meaning.confident import suspects
from tunewright.data.meaning.head import FOLDS, cross_validated, deal_folds
from tunewright.data.meaning.vectors import Integers, Vectors

# What Kass and Raftery, "Bayes Factors" (1995), call strong evidence. With 5 % wrong labels planted in 2,000 rows of
# Banking77 it leaves out four fifths of the false alarms, and 3 in 100 of the planted ones (docs/data.md).
ODDS = 20.0


@dataclass(frozen=True, slots=True)
class WrongLabel:
    """A row whose label is likely wrong.

    Args:
        row: Its number.
        better: The label that it more likely deserves.
        share: How likely that one is, to a classifier that has not seen the row.
        given_share: How likely the one it has is.
    """

    row: int
    better: str
    share: float
    given_share: float


@dataclass(frozen=True, slots=True)
class WrongLabels:
    """What was found.

    Args:
        found: The suspect rows, those of the first round first, the most likely ones first.
        unjudged: Rows that stay although no round could judge them: their label has too few distinct texts.
        rounds: How many rounds it took; the last one found none, unless the rounds were limited.
    """

    found: tuple[WrongLabel, ...]
    unjudged: tuple[int, ...]
    rounds: int


def find_wrong_labels(
    vectors: Vectors,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    rounds: int,
    odds: float = ODDS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> WrongLabels:
    """Confident learning on cross-validated probabilities of a light head; suspect rows leave, and it looks again.

    Args:
        vectors: Unit vectors of the texts, shape (n, width).
        texts: Only to keep copies of one text in one fold.
        labels: One for each.
        odds: How many times likelier than its own the other label must be.
        rounds: At most so many; 0: until a round finds none.
        progress: Is told how many heads have been fitted, and how many there are up to this round's end.
    """
    names = np.asarray(labels, dtype=object)
    here = np.arange(len(names))
    found: list[WrongLabel] = []
    done = 0
    while True:
        folds = deal_folds([texts[row] for row in here.tolist()], names[here].tolist())
        tell = partial(_tell, progress, done * FOLDS)
        judged, unjudged = here[folds >= 0], here[folds < 0]
        new = _one_round(vectors[judged], names[judged].tolist(), folds[folds >= 0], odds, tell)
        found += [WrongLabel(int(judged[each.row]), each.better, each.share, each.given_share) for each in new]
        here = np.setdiff1d(here, [each.row for each in found])
        done += 1
        if not new or done == rounds:
            return WrongLabels(tuple(found), tuple(unjudged.tolist()), done)


def _tell(progress: Callable[[int, int], None], before: int, fold: int) -> None:
    progress(before + fold, before + FOLDS)


def _one_round(
    vectors: Vectors,
    labels: Sequence[str],
    folds: Integers,
    odds: float,
    progress: Callable[[int], None],
) -> list[WrongLabel]:
    if len(set(labels)) < 2:
        return []
    classes, shares = cross_validated(vectors, labels, folds, progress)
    number = {name: place for place, name in enumerate(classes)}
    given = np.array([number[label] for label in labels], dtype=np.int64)
    found = suspects(shares, given, odds)
    return [
        WrongLabel(int(row), classes[better], float(shares[row, better]), float(shares[row, given[row]]))
        for row, better in zip(found.rows, found.better, strict=True)
    ]
