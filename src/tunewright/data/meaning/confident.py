"""Likely wrong labels, by confident learning.

Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021),
section 3.1 and the rule C_confusion of section 3.2, https://arxiv.org/abs/1911.00068
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunewright.data.meaning.vectors import Floats, Integers


@dataclass(frozen=True, slots=True)
class Suspects:
    """Rows whose label is likely wrong.

    Args:
        rows: Their numbers, the most likely first.
        better: The class that each more likely belongs to.
        joint: How many rows of each label (rows) confidently belong to each class (columns); shape (k, k).
    """

    rows: Integers
    better: Integers
    joint: Integers


def suspects(probabilities: Floats, labels: Integers, odds: float = 1.0) -> Suspects:
    """The off-diagonal rows of the confident joint.

    A row confidently belongs to a class if its probability reaches the mean probability that this class has among the
    rows labelled with it; of several such classes, to the likeliest. Where that is another class than its label, and
    likelier than it, the label is suspect. So a class that is hard for the classifier asks for less.

    Args:
        probabilities: Of each class for each row, by a classifier that has not seen the row; shape (n, k).
        labels: The classes given, 0…k-1, each of them at least once; shape (n,).
        odds: How many times likelier than the label the other class must be; 1: the rule as it was published.
    """
    count = probabilities.shape[1]
    given = probabilities[np.arange(len(labels)), labels]
    own = np.bincount(labels, weights=given, minlength=count) / np.bincount(labels, minlength=count)
    sure = probabilities >= own
    best = np.where(sure, probabilities, -1.0).argmax(1)
    confident = sure.any(1)
    joint = np.zeros((count, count), dtype=np.int64)
    np.add.at(joint, (labels[confident], best[confident]), 1)
    likelier = probabilities[np.arange(len(labels)), best]
    rows = np.flatnonzero(confident & (best != labels) & (likelier > given) & (likelier >= odds * given))
    rows = rows[np.argsort((given - likelier)[rows], kind="stable")]
    return Suspects(rows, best[rows].astype(np.int64), joint)
