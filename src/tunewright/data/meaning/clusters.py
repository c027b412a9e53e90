"""The subjects of some texts, as clusters of their vectors, and which of them other texts leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.data.meaning.vectors import Vectors

# Rows a cluster has on average, and the most clusters there are.
_ROWS_A_CLUSTER = 50
_MOST = 100
# A cluster is missed if by its share so many rows are to be expected, and there is none: by chance in less than 1 %.
_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Missed:
    """A cluster that is not covered: its rows, and the one in its middle."""

    rows: int
    middle: int


@dataclass(frozen=True, slots=True)
class Clusters:
    """How other texts cover the clusters.

    Args:
        count: Clusters there are.
        missed: Those that are not covered, the largest first.
        missed_share: The share of all rows that stand in these.
    """

    count: int
    missed: tuple[Missed, ...]
    missed_share: float


def coverage(vectors: Vectors, others: Vectors, *, seed: int) -> Clusters:
    """Clusters of some texts (k-means), and those that no other text falls into although some should by their share.

    Args:
        vectors: Unit vectors, shape (n, width), n at least 1.
        others: Unit vectors of the other texts, shape (m, width).
        seed: Draws where k-means begins.
    """
    from sklearn.cluster import MiniBatchKMeans

    count = min(max(1, len(vectors) // _ROWS_A_CLUSTER), _MOST)
    model = MiniBatchKMeans(count, random_state=seed % 2**32, n_init=3).fit(vectors)
    rows = np.bincount(model.labels_, minlength=count)
    here = np.bincount(model.predict(others), minlength=count) if len(others) else np.zeros(count, dtype=np.int64)
    absent = np.flatnonzero((here == 0) & (rows / len(vectors) * len(others) >= _EXPECTED))
    absent = absent[np.argsort(-rows[absent], kind="stable")]
    missed = []
    for each in absent.tolist():
        inside = np.flatnonzero(model.labels_ == each)
        middle = inside[(vectors[inside] @ model.cluster_centers_[each]).argmax()]
        missed.append(Missed(len(inside), int(middle)))
    return Clusters(count, tuple(missed), float(rows[absent].sum() / len(vectors)))


def subjects(vectors: Vectors, count: int, *, seed: int) -> NDArray[np.int64]:
    """Which of `count` clusters (k-means) each vector falls into, by number from 0, shape (n,); some may stay empty.

    Args:
        vectors: Unit vectors, shape (n, width), n at least `count`.
        count: Clusters, at least one.
        seed: Draws where k-means begins.
    """
    from sklearn.cluster import MiniBatchKMeans

    labels: NDArray[np.int64] = MiniBatchKMeans(count, random_state=seed % 2**32, n_init=3).fit(vectors).labels_
    return labels.astype(np.int64)
