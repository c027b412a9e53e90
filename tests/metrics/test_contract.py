"""Every metric passes one contract; a new one is checked without a word added here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.metrics.contract import check_metric
from tunewright.base.errors import UnknownNameError
from tunewright.base.plugins import METRICS
from tunewright.metrics import default_metrics


class Letters:
    """An encoder whose vectors count letters."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._unit(text) for text in texts], dtype=np.float32)

    def encode_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return [np.array([self._unit(word) for word in text.split()], dtype=np.float32) for text in texts]

    def _unit(self, text: str) -> NDArray[np.float64]:
        counts = np.bincount([ord(letter) % 32 for letter in text], minlength=32) + 0.01
        return np.asarray(counts / np.linalg.norm(counts))


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_contract(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.metrics.similarity._encoder", lambda name, cache: Letters())
    check_metric(name)


def test_default_metrics_put_the_main_one_first() -> None:
    names = {kind: [c.model_dump()["name"] for c in default_metrics(kind)] for kind in ("json", "label", "text")}
    assert names == {
        "json": ["record_exact_match", "json_valid", "field_accuracy", "perplexity"],
        "label": ["accuracy", "macro_f1", "perplexity"],
        "text": ["exact_match", "perplexity"],
    }


def test_an_unknown_kind_of_answer_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        default_metrics("labels")
