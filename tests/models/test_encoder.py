import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tests.models.making import write_encoder
from tests.tiny import tiny_folder
from tunewright.base.errors import ModelError
from tunewright.models.encoder import Encoder
from tunewright.models.resolve import resolve

TEXTS = ["The cats sat on a mat.", "dog", "", "the " * 50, "a dog sat", "  The   DOGS ", "unheard-of words"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture(scope="module")
def encoder(folder):
    return Encoder.load(resolve(str(folder), folder.parent / "cache"))


def reference(folder, text):
    """sentence-transformers' modules one by one: transformer, mean pooling, normalise; one text, no padding."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        mean = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).numpy()


def test_vectors_equal_sentence_transformers_definition_in_the_given_order(encoder, folder):
    vectors = encoder.encode(TEXTS, batch_size=3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, np.stack([reference(folder, text) for text in TEXTS]), atol=1e-5)


def test_vectors_have_unit_length_whatever_the_batch(encoder):
    vectors = encoder.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, encoder.encode(TEXTS, batch_size=1), atol=1e-5)


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, 24)


def test_a_language_model_is_no_encoder(tmp_path):
    files = resolve(str(tiny_folder(tmp_path / "model")), tmp_path / "cache")
    with pytest.raises(ModelError, match="no text encoder"):
        Encoder.load(files)
