"""Whether two sets of texts come from one source: a classifier two-sample test over their vectors.

If a classifier that has not seen a text can tell which set it is from, the sets differ. Its area under the ROC curve
(0.5: it cannot) says by how much; shuffled memberships say what chance alone would give.
Sources: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017, https://arxiv.org/abs/1610.06545;
p-values after Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunewright.data.meaning.vectors import Floats, Vectors

SHUFFLES = 199


_FOLDS = 5
# In units of the vectors' mean squared length in one direction: enough to keep a few rows from being learned by heart.
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """How well two sets of texts can be told apart.

    Args:
        auc: Chance that of a text of each set the classifier names the right one; 0.5 where it has to guess.
        p_value: How often shuffled memberships give as much, at least 1 / (shuffles + 1).
        one_score: How much each text of the first set looks like the second, by a classifier that has not seen it.
        other_score: The same for each text of the second set.
    """

    auc: float
    p_value: float
    one_score: Floats
    other_score: Floats


def difference(one: Vectors, other: Vectors, *, seed: int, shuffles: int = SHUFFLES) -> Difference:
    """Tests whether two sets of texts differ in what they mean.

    The classifier is a ridge regression on the membership, in five folds; its matrix does not depend on the
    memberships, so all shuffles are computed in one product.

    Args:
        one: Unit vectors, shape (n, width).
        other: Unit vectors, shape (m, width); n and m at least 1.
        seed: Draws folds and shuffles.
    """
    rng = np.random.default_rng(seed)
    rows_NW = np.concatenate([one, other]).astype(np.float64)
    rows_NW = np.concatenate([rows_NW, np.ones((len(rows_NW), 1))], axis=1)
    member = np.repeat([0.0, 1.0], [len(one), len(other)])
    drawn_NS = np.stack([member, *(rng.permutation(member) for _ in range(shuffles))], axis=1)
    folds = rng.permutation(np.arange(len(rows_NW)) % min(_FOLDS, len(rows_NW)))
    score_NS = np.empty_like(drawn_NS)
    for fold in np.unique(folds):
        held = folds == fold
        learned_NW = rows_NW[~held]
        square_WW = learned_NW.T @ learned_NW + _RIDGE * np.eye(rows_NW.shape[1])
        score_NS[held] = rows_NW[held] @ np.linalg.solve(square_WW, learned_NW.T @ drawn_NS[~held])
    areas = [_area(score, drawn) for score, drawn in zip(score_NS.T, drawn_NS.T, strict=True)]
    reached = sum(area >= areas[0] for area in areas[1:])
    score = score_NS[:, 0]
    return Difference(areas[0], (1 + reached) / (1 + shuffles), score[: len(one)], score[len(one) :])


def _area(score: Floats, member: Floats) -> float:
    """Area under the ROC curve, by the rank sum of Mann and Whitney; ties count half."""
    from scipy.stats import rankdata

    inside = member == 1
    count = int(inside.sum())
    ranks = rankdata(score)[inside].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(member) - count)))
