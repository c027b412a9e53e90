"""Words of like meaning: those whose input vectors are near to one another in a text encoder.

An encoder's first layer has one vector for each word of its vocabulary, read without running the model. Neighbours by
their cosine are synonyms, other forms of the same word, and now and then opposites: other forms are left out here, and
for the rest there is the guard behind every augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import ModelError
from tunewright.base.files import read_json
from tunewright.models.files import BaseFiles

_TABLE = "word_embeddings.weight"
# In all-minilm-l6-v2 neighbours above it are mostly words that could stand in each other's place.
_LEAST_COSINE = 0.42
_MOST = 4
_SHORTEST = 3
_STEM = 4


class Thesaurus:
    """Words, and which are near to which. Make one with `Thesaurus.load(files)`.

    Args:
        vectors: A vector for each word; any length.
        least: The least cosine of words that count as near, after the mean vector is taken off all of them.
    """

    def __init__(self, words: list[str], vectors: NDArray[np.float32], *, least: float = _LEAST_COSINE) -> None:
        self._words, self._vectors, self._least = words, vectors, least
        self._place = {word: place for place, word in enumerate(words)}
        self._known: dict[str, tuple[str, ...]] = {}

    @classmethod
    def load(cls, files: BaseFiles) -> Thesaurus:
        """The words of an encoder's vocabulary that are whole, in lower case, and no function words.

        Raises:
            ModelError: If the encoder's vocabulary or its vectors are not where encoders of BERT's kind have them.
        """
        from safetensors import safe_open
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        vocabulary = _vocabulary(read_json(files.folder / "tokenizer.json"))
        with safe_open(files.folder / "model.safetensors", "numpy") as file:
            names = [name for name in file.keys() if name.endswith(_TABLE)]  # noqa: SIM118 - it is no mapping
            if not names or not vocabulary:
                raise ModelError(
                    "This encoder has no vectors of whole words", where=files.name, hint="Use all-minilm-l6-v2."
                )
            vectors = file.get_tensor(names[0])
        words = [
            word
            for word in vocabulary
            if len(word) >= _SHORTEST and word.isalpha() and word.islower() and word not in ENGLISH_STOP_WORDS
        ]
        return cls(words, vectors[[vocabulary[word] for word in words]].astype(np.float32))

    def near(self, word: str) -> tuple[str, ...]:
        """Up to four words of like meaning, the nearest first; none for a word that it does not know."""
        if word not in self._place:
            return ()
        if word not in self._known:
            self._known[word] = self._search(word)
        return self._known[word]

    def _search(self, word: str) -> tuple[str, ...]:
        cosines = self._unit @ self._unit[self._place[word]]
        close = np.flatnonzero(cosines >= self._least)
        ordered = sorted(close.tolist(), key=lambda place: (-cosines[place], self._words[place]))
        others = (self._words[place] for place in ordered)
        return tuple([other for other in others if not _is_form(word, other)][:_MOST])

    @cached_property
    def _unit(self) -> NDArray[np.float32]:
        """The vectors without what all words share, of unit length."""
        centred = self._vectors - self._vectors.mean(0)
        unit: NDArray[np.float32] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        return unit


def _is_form(word: str, other: str) -> bool:
    """Whether two words look like forms of one: they begin alike."""
    shared = next(
        (at for at, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(map(len, (word, other)))
    )
    return shared >= min(_STEM, len(word) - 1, len(other) - 1)


def _vocabulary(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    found = tokenizer.get("model", {}).get("vocab", {})
    return found if isinstance(found, dict) else {}
