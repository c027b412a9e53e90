"""Which texts to ask for next: those that a light head is least sure of, and that differ from one another.

A text is a vector (latent semantic analysis of its words and letter groups, Deerwester et al. 1990; or the embedded
encoder's), the head a logistic regression. It is least sure where the two likeliest labels are closest (margin
sampling, Scheffer et al. 2001). Of the least sure ones, k-means chooses as many as are asked for, one from each cluster
(Zhdanov 2019, https://arxiv.org/abs/1901.05954). As long as fewer than two labels were given there is no head, and the
clusters of all texts are asked for, the largest first: with few labels the typical texts teach most (Hacohen et al.
2022, https://arxiv.org/abs/2202.02794).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tunewright.base.seeds import derive

Vectors = npt.NDArray[np.float32]

_WIDTH = 64
_FEW_TEXTS = 1000
_PRESELECTED = 20  # of the least sure ones so many for each that is asked for
_CLUSTERED = 2000
_INVERSE_REGULARISATION = 10.0
# Every mark that is not white space is a term, so that no text is without terms.
_TERM = r"\w+|[^\w\s]"


def word_vectors(texts: Sequence[str], seed: int) -> Vectors:
    """A vector of unit length for each text, by its words and letter groups, shape (n, at most 64)."""
    from scipy.sparse import hstack
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    common: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32}
    rare = 2 if len(texts) >= _FEW_TEXTS else 1
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=_TERM, **common).fit_transform(texts)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), min_df=rare, **common).fit_transform(texts)
    terms = hstack([words, letters], format="csr")
    width = min(_WIDTH, min(terms.shape) - 1)
    if width < 2:
        return np.asarray(normalize(terms.toarray()), dtype=np.float32)
    reduced = TruncatedSVD(width, n_iter=3, random_state=derive(seed, "words") % 2**32).fit_transform(terms)
    return np.asarray(normalize(reduced), dtype=np.float32)


class Head:
    """What the labels given so far say of every text.

    Args:
        labels: The labels it knows, sorted.
        chances: The probability of each for each text, shape (n, labels).
    """

    def __init__(self, vectors: Vectors, given: Mapping[int, str]) -> None:
        """Learns from the labels of some texts, by their numbers; at least two different ones."""
        from sklearn.linear_model import LogisticRegression

        rows = sorted(given)
        model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=100)
        with warnings.catch_warnings():
            # Few labels, and many of them met once, are what it is for; it only has to say where it is unsure.
            warnings.simplefilter("ignore", UserWarning)
            model.fit(vectors[rows], [given[row] for row in rows])
        self.labels: list[str] = [str(label) for label in model.classes_]
        self.chances: npt.NDArray[np.float64] = model.predict_proba(vectors)

    def guess(self, text: int) -> str:
        """The likeliest label of a text."""
        return self.labels[int(self.chances[text].argmax())]

    def margins(self) -> npt.NDArray[np.float64]:
        """How far apart the two likeliest labels of each text are, shape (n,); small where it is unsure."""
        best = np.partition(self.chances, -2, axis=1)
        margins: npt.NDArray[np.float64] = best[:, -1] - best[:, -2]
        return margins


def learn(vectors: Vectors, given: Mapping[int, str]) -> Head | None:
    """The head that the labels so far allow; none while there is but one label."""
    return Head(vectors, given) if len(set(given.values())) >= 2 else None


def choose(vectors: Vectors, head: Head | None, free: Sequence[int], count: int, seed: int) -> list[int]:
    """The texts to ask for next, the most informative first.

    Args:
        vectors: All texts, shape (n, width).
        head: What the labels so far say; None: not enough of them yet.
        free: Numbers of the texts that may be asked for.
        count: How many to choose.
        seed: Decides between equals.
    """
    rows = np.array(sorted(free), dtype=np.int64)
    if len(rows) <= 1 or count < 1:
        return [int(row) for row in rows[: max(0, count)]]
    if head is None:
        if len(rows) > _CLUSTERED:
            rows = np.sort(np.random.default_rng(derive(seed, "typical")).choice(rows, _CLUSTERED, replace=False))
        chosen, sizes = _typical(vectors, rows, count, seed)
        return [text for _, text in sorted(zip((-size for size in sizes), chosen, strict=True))]
    margins = head.margins()
    rows = rows[np.argsort(margins[rows], kind="stable")][: _PRESELECTED * count]
    chosen, _ = _typical(vectors, rows, count, seed)
    return sorted(chosen, key=lambda text: (float(margins[text]), text))


def _typical(vectors: Vectors, rows: npt.NDArray[np.int64], count: int, seed: int) -> tuple[list[int], list[int]]:
    """From each of so many clusters the text nearest to its middle; and how large each cluster is."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if len(rows) <= count:
        return rows.tolist(), [1] * len(rows)
    points = vectors[rows]
    means = KMeans(count, n_init=1, max_iter=20, random_state=derive(seed, "clusters") % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct texts than clusters: some stay empty
        cluster = means.fit_predict(points)
    away = np.linalg.norm(points - means.cluster_centers_[cluster], axis=1)
    chosen, sizes = [], []
    for number in range(count):
        members = np.flatnonzero(cluster == number)
        if len(members):
            chosen.append(int(rows[members[np.argmin(away[members])]]))
            sizes.append(len(members))
    return chosen, sizes
