"""A light classifier over text vectors: multinomial logistic regression, and its probabilities for unseen rows."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.base.errors import DataError
from tunewright.data.meaning.vectors import Floats, Integers, Vectors

FOLDS = 5


_INVERSE_REGULARISATION = 10.0
_STEPS = 200


@dataclass(frozen=True)
class Head:
    """A fitted classifier.

    Args:
        classes: What it tells apart, sorted.
        weight: Shape (classes, width).
        bias: Shape (classes,).
    """

    classes: tuple[str, ...]
    weight: Floats
    bias: Floats

    def probabilities(self, vectors: Vectors) -> Floats:
        """How likely each class is for each text; shape (n, classes), rows sum to one."""
        logits = vectors @ self.weight.T + self.bias
        raised = np.exp(logits - logits.max(1, keepdims=True))
        shares: Floats = raised / raised.sum(1, keepdims=True)
        return shares

    def classify(self, vectors: Vectors) -> list[str]:
        """The likeliest class of each text."""
        return [self.classes[place] for place in (vectors @ self.weight.T + self.bias).argmax(1)]


def fit_head(vectors: Vectors, labels: Sequence[str]) -> Head:
    """Learns to tell labels apart by meaning; the same rows always give the same head.

    Args:
        vectors: Unit vectors of the texts, shape (n, width).
        labels: Their labels.
    Raises:
        DataError: If there are fewer than two labels.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = sorted(set(labels))
    if len(classes) < 2:
        raise DataError(
            f"There {'is one label' if classes else 'are no labels'}, and a classifier needs two to tell apart",
            where="data",
            hint="Bring rows with other labels, or leave out what checks labels.",
        )
    model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=_STEPS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the steps are bounded on purpose
        model.fit(vectors, np.asarray(labels, dtype=object))
    weight, bias = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
    if len(classes) == 2:
        # One row of weights tells two classes apart: softmax over (-z/2, z/2) is the sigmoid of z.
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return Head(tuple(classes), weight, bias)


def cross_validated(
    vectors: Vectors,
    labels: Sequence[str],
    folds: Integers,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[tuple[str, ...], Floats]:
    """How likely each class is for each text, by a head that has not seen the text.

    Args:
        vectors: Unit vectors, shape (n, width).
        labels: Their labels; each is met in two folds at least.
        folds: Each text's fold, shape (n,), as `deal_folds` gives them.
        progress: Is told how many folds are done.
    Returns:
        The classes, sorted; and shape (n, classes), rows sum to one.
    """
    names = np.asarray(labels, dtype=object)
    classes = tuple(sorted(set(labels)))
    found = np.empty((len(names), len(classes)))
    for done, fold in enumerate(np.unique(folds), 1):
        held = folds == fold
        found[held] = fit_head(vectors[~held], names[~held].tolist()).probabilities(vectors[held])
        progress(done)
    return classes, found


def deal_folds(texts: Sequence[str], labels: Sequence[str], folds: int = FOLDS) -> Integers:
    """Deals the rows of each label out to folds, in an order that only the texts decide.

    Rows of one text and label share a fold, so that no row is judged by its own copy. The rows' order does not matter.

    Returns:
        Each row's fold, shape (n,); -1 for the rows of a label with fewer distinct texts than there are folds.
    """
    drawn = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
    dealt = np.full(len(texts), -1, dtype=np.int64)
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows_of.setdefault(label, []).append(row)
    for rows in rows_of.values():
        place = {text: number for number, text in enumerate(sorted({drawn[row] for row in rows}))}
        if len(place) >= folds:
            dealt[rows] = [place[drawn[row]] % folds for row in rows]
    return dealt
