"""The effective number of meanings."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.data.meaning import diversity
from tunewright.data.meaning.diversity import effective_number


def test_equal_texts_count_as_one_and_unrelated_ones_each() -> None:
    one = np.eye(4, dtype=np.float16)
    assert effective_number(one[[0, 0, 0]]) == pytest.approx(1)
    assert effective_number(one) == pytest.approx(4)
    # Shares 3/4 and 1/4: exp(-(0.75 ln 0.75 + 0.25 ln 0.25)).
    assert effective_number(one[[0, 0, 0, 1]]) == pytest.approx(1.7548, abs=1e-4)


def test_it_is_the_vendi_score_of_the_likeness_matrix_in_whatever_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity, "_ROWS", 3)
    vectors = np.random.default_rng(0).normal(size=(10, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(vectors @ vectors.T / 10)
    values = values[values > 1e-12]
    assert effective_number(vectors.astype(np.float32)) == pytest.approx(
        np.exp(-(values * np.log(values)).sum()), rel=1e-5
    )
