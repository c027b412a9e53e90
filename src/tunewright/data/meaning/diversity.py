"""How many different things a set of texts says."""

from __future__ import annotations

import numpy as np

from tunewright.data.meaning.vectors import Stored, Vectors

_ROWS = 8192


def effective_number(vectors: Stored | Vectors) -> float:
    """The Vendi score with cosine as likeness: the exponential of the entropy of the likeness matrix's eigenvalues.

    It is 1 where all texts mean the same, and k where k meanings that have nothing in common are equally frequent; it
    cannot exceed the vectors' width.
    Source: Friedman and Dieng, "The Vendi Score", TMLR 2023, https://arxiv.org/abs/2210.02410

    Args:
        vectors: Unit vectors, shape (n, width), n at least 1; in memory or mapped.
    """
    width = vectors.shape[1]
    # X^T X and X X^T have the same eigenvalues but for zeros, and only the first is small.
    square_WW = np.zeros((width, width))
    for start in range(0, len(vectors), _ROWS):
        part = vectors[start : start + _ROWS].astype(np.float64)
        square_WW += part.T @ part
    values = np.linalg.eigvalsh(square_WW / np.trace(square_WW))
    values = values[values > np.finfo(np.float64).eps]
    return float(np.exp(-(values * np.log(values)).sum()))
