"""Likeness in meaning, on an encoder made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.models.making import write_encoder
from tunewright.base.errors import ModelError
from tunewright.metrics import Answer
from tunewright.metrics.similarity import Config, greedy_f1, measure
from tunewright.models.encoder import Encoder, find_encoder

ANSWERS = [
    Answer("same", "the cats sat", "the cats sat"),
    Answer("other", "the cats sat", "a dog"),
    Answer("empty", "the cats sat", " "),
    Answer("second", "the cats sat", "a dog", references=("a dog",)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "model")


def test_both_kinds(folder: Path) -> None:
    config = Config(encoder=str(folder), kinds=("sentence", "tokens")).at(folder.parent)
    sentences, tokens = measure(config, ANSWERS)
    assert [sentences.name, tokens.name] == ["similarity", "token_similarity"]
    encoder = Encoder.load(find_encoder(str(folder), folder.parent))
    cats, dog = encoder.encode(["the cats sat", "a dog"])
    assert sentences.values == pytest.approx([1, float(cats @ dog), 0, 1], abs=1e-6)
    assert tokens.values[[0, 2, 3]] == pytest.approx([1, 0, 1], abs=1e-6)
    # The vectors of a text's tokens are those that its sentence vector is the mean of, its marks aside.
    (alone,) = encoder.encode_tokens(["dog"])
    assert alone.shape == (1, 24)
    assert np.linalg.norm(alone) == pytest.approx(1, abs=1e-6)


def test_greedy_matching_by_hand() -> None:
    given = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    wanted = np.array([[0, 1]], dtype=np.float32)
    precision, recall = (0 + 0.8) / 2, 0.8
    assert greedy_f1(given, wanted) == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_metric_that_was_not_told_where_models_are_says_so() -> None:
    with pytest.raises(ModelError, match="place"):
        measure(Config(), ANSWERS)
    with pytest.raises(ModelError, match="tunewright models pull"):
        measure(Config().at(Path("nothing here")), ANSWERS)
