"""Words of like meaning, from vectors made by hand and from a model's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tiny import tiny_folder
from tests.tiny_encoder import WORDS, encoder_folder
from tunewright.base.errors import ModelError
from tunewright.data.thesaurus import Thesaurus
from tunewright.models.resolve import resolve


def _made() -> Thesaurus:
    words = ["money", "cash", "moneys", "monetary", "boat", "ship"]
    vectors = [[1, 0, 0.1], [1, 0, 0], [1, 0, 0.1], [1, 0, 0.2], [-1, 1, 0], [-1, 0.9, 0]]
    return Thesaurus(words, np.array(vectors, dtype=np.float32), least=0.5)


def test_near_words_are_found_and_other_forms_are_not() -> None:
    thesaurus = _made()
    assert thesaurus.near("money") == ("cash",)
    assert thesaurus.near("ship") == ("boat",)
    assert thesaurus.near("unknown") == ()


def test_near_words_have_the_cosine_asked_for() -> None:
    # Around their mean, (0.5, 0.5): the first two point one way, the third the other.
    vectors = np.array([[1, 0.5], [1, 0.6], [-0.5, 0.4]], dtype=np.float32)
    assert Thesaurus(["cup", "mug", "sea"], vectors, least=0.9).near("cup") == ("mug",)
    assert Thesaurus(["cup", "mug", "sea"], vectors, least=-1.0).near("cup") == ("mug", "sea")


def test_a_models_whole_words_are_read(tmp_path: Path) -> None:
    files = resolve(str(encoder_folder(tmp_path / "encoder")), tmp_path / "cache")
    thesaurus = Thesaurus.load(files)
    near = {word: thesaurus.near(word) for word in WORDS if len(word) >= 3}
    assert any(near.values())
    assert all(other.isalpha() and len(other) >= 3 for others in near.values() for other in others)
    assert thesaurus.near("the") == ()  # a function word
    assert thesaurus.near("##a") == ()


def test_a_model_without_such_vectors_is_refused(tmp_path: Path) -> None:
    files = resolve(str(tiny_folder(tmp_path / "tiny")), tmp_path / "cache")
    with pytest.raises(ModelError, match="no vectors of whole words"):
        Thesaurus.load(files)
