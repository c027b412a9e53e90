"""Vectors of texts, and that none is computed twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tests.models.making import write_fake_model
from tunewright.base.errors import ModelError, WorkspaceError
from tunewright.base.events import Event, Message, Stage
from tunewright.data.meaning import embedding
from tunewright.data.meaning.embedding import Embedder
from tunewright.models.encoder import Encoder, find_encoder

TEXTS = ["The cats sat on a mat.", "dog", "", "a dog sat", "dog", "  The   DOGS ", "unheard-of words"]


def reference(folder: Path, text: str) -> np.ndarray:
    """sentence-transformers' modules one by one: transformer, mean pooling, normalise; one text, no padding."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        mean = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).numpy()


def count_encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that receives each text that is computed from now on."""
    seen: list[str] = []
    encode = Encoder.encode

    def counted(self: Encoder, texts: list[str], batch_size: int = 64) -> np.ndarray:
        seen.extend(texts)
        return encode(self, texts, batch_size)

    monkeypatch.setattr(Encoder, "encode", counted)
    return seen


def test_vectors_are_sentence_transformers_to_float16(embedder: Embedder, encoder_folder: Path) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, np.stack([reference(encoder_folder, text) for text in TEXTS]), atol=5e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_text_is_computed_once_and_never_again(
    embedder: Embedder, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = count_encoded(monkeypatch)
    first = embedder.embed(TEXTS)
    assert sorted(seen) == sorted(set(TEXTS))
    seen.clear()
    again = Embedder.open(str(encoder_folder), tmp_path / "cache")
    monkeypatch.setattr(Encoder, "load", None)  # not even loaded
    np.testing.assert_array_equal(again.embed(TEXTS[::-1]), first[::-1])
    assert not seen


def test_pieces_give_the_same_vectors_as_one_call(embedder: Embedder) -> None:
    whole = embedder.embed(TEXTS)
    spilled = embedder.spill([TEXTS[:3], [], TEXTS[3:]])
    assert isinstance(spilled, np.memmap)
    assert spilled.dtype == np.float16
    np.testing.assert_allclose(np.asarray(spilled, dtype=np.float32), whole, atol=1e-3)
    assert embedder.spill([]).shape == (0, 24)
    assert embedder.embed([]).shape == (0, 24)


def test_what_was_computed_outlives_an_interruption(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_TEXTS_AT_ONCE", 2)
    seen = count_encoded(monkeypatch)
    counted = Encoder.encode

    def failing(self: Encoder, texts: list[str], batch_size: int = 64) -> np.ndarray:
        if len(seen) >= 4:
            raise KeyboardInterrupt
        return counted(self, texts, batch_size)

    monkeypatch.setattr(Encoder, "encode", failing)
    with pytest.raises(KeyboardInterrupt):
        embedder.embed(TEXTS)
    monkeypatch.setattr(Encoder, "encode", counted)
    first = list(seen)
    embedder.embed(TEXTS)
    assert len(first) == 4
    assert sorted(seen) == sorted(set(TEXTS))


def test_texts_beyond_the_encoders_reach_are_counted_each_time(encoder_folder: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    embedder = Embedder.open(str(encoder_folder), tmp_path / "cache", heard.append)
    for _ in range(2):
        # The tiny encoder reads 16 tokens, two of which are markers.
        embedder.embed(["the " * 14, "the " * 15, "dog"])
    said = [event.text for event in heard if isinstance(event, Message)]
    assert len(said) == 2
    assert all(text.startswith("1 of 3 texts are longer than") and "16 tokens" in text for text in said)


def test_progress_is_told_where_there_is_work(encoder_folder: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    embedder = Embedder.open(str(encoder_folder), tmp_path / "cache", heard.append)
    texts = [f"the cat {number}" for number in range(300)]
    embedder.embed(texts)
    assert heard == [
        Stage("embed", "progress", 300, 300, "texts"),
        Stage("embed", "finished", 300, 300, "texts"),
    ]
    heard.clear()
    embedder.embed(texts)
    assert not heard


def test_an_encoder_that_is_not_here_is_asked_for_and_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not on this machine.*tunewright models pull all-minilm-l6-v2") as refused:
        find_encoder("all-minilm-l6-v2", tmp_path)
    assert refused.value.exit_code == 2


def test_a_language_model_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no text encoder"):
        find_encoder(str(write_fake_model(tmp_path / "model")), tmp_path)


def test_a_damaged_cache_is_named(embedder: Embedder, tmp_path: Path) -> None:
    embedder.embed(["dog"])
    (file,) = (tmp_path / "cache" / "vectors").glob("*.sqlite")
    for path in file.parent.iterdir():
        path.write_bytes(b"no database at all " * 99)
    with pytest.raises(WorkspaceError, match="delete the file: it only saves time") as refused:
        embedder.embed(["dog"])
    assert str(file) in str(refused.value)


def test_other_writers_are_waited_for(embedder: Embedder, tmp_path: Path) -> None:
    """What another process has added meanwhile is found, and adding it again does no harm."""
    first = embedder.embed(["dog"])
    (file,) = (tmp_path / "cache" / "vectors").glob("*.sqlite")
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM vector").fetchone() == (1,)
    np.testing.assert_array_equal(embedder.embed(["dog", "cat"])[:1], first)
