"""How near answers are to references in meaning, by the embedded text encoder.

`similarity` is the cosine of the vectors of both texts, as sentence encoders are trained for; `token_similarity` is the
F-measure of BERTScore (Zhang et al. 2020): each token is matched with the nearest one of the other text, without
weights and without rescaling, on the encoder's last layer. Neither is BERTScore's own number, which other, larger
models give: compare only scores of the same encoder. all-MiniLM-L6-v2 reads English and the first 256 tokens. Of
several references the nearest counts. An empty answer is near to nothing: 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Measure
from tunewright.metrics._references import Pairs, best_of, pairs_of

ABOUT = {
    "similarity": About("Near in meaning", "cosine of the answer's and the expected answer's vectors", is_share=False),
    "token_similarity": About("Near, word by word", "how near each word is to one of the other text", is_share=False),
}

Kind = Literal["sentence", "tokens"]
_NAMES: dict[Kind, str] = {"sentence": "similarity", "tokens": "token_similarity"}


class Config(PluginConfig):
    """Settings of the similarity."""

    name: Literal["similarity"] = "similarity"
    kinds: tuple[Kind, ...] = Field(("sentence",), min_length=1, description="Whole texts, single tokens, or both.")
    encoder: str = Field("all-minilm-l6-v2", description="A text encoder: a catalogue name, or a folder.")
    _cache: Path | None = PrivateAttr(None)

    def at(self, cache: Path) -> Self:
        """The same settings, knowing where models are kept."""
        placed = self.model_copy()
        placed._cache = cache
        return placed

    @property
    def cache(self) -> Path:
        """Where models are kept.

        Raises:
            ModelError: If nobody said.
        """
        if self._cache is None:
            raise ModelError(
                "This metric needs a text encoder and was not told where models are kept",
                where=self.name,
                hint="Call metrics.place(configs, workspace.cache) first.",
            )
        return self._cache


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """`similarity` and `token_similarity` of each answer; reduced to the mean.

    Raises:
        ModelError: If the encoder is not on this machine.
    """
    require_answers(config.name, answers)
    pairs = pairs_of(answers)
    found = []
    for kind in dict.fromkeys(config.kinds):
        scores = _SCORES[kind](config, pairs)
        found.append(Measure(_NAMES[kind], scores[best_of(scores, pairs)], note=f"encoder:{config.encoder}"))
    return found


def names(config: Config) -> list[str]:
    """A name for each kind."""
    return [_NAMES[kind] for kind in dict.fromkeys(config.kinds)]


def greedy_f1(given_TD: NDArray[np.float32], wanted_TD: NDArray[np.float32]) -> float:
    """The F-measure of tokens' unit vectors, each matched with the nearest of the other text; 0 without tokens."""
    if not len(given_TD) or not len(wanted_TD):
        return 0.0
    near = given_TD.astype(np.float64) @ wanted_TD.astype(np.float64).T
    precision, recall = near.max(axis=1).mean(), near.max(axis=0).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0


def _sentences(config: Config, pairs: Pairs) -> Floats:
    texts = list(dict.fromkeys([*pairs.given, *pairs.wanted]))
    vectors = _encoder(config.encoder, config.cache).encode(texts).astype(np.float64)
    row = {text: number for number, text in enumerate(texts)}
    given, wanted = (vectors[[row[text] for text in side]] for side in (pairs.given, pairs.wanted))
    empty = np.array([not text.strip() for text in pairs.given])
    return np.where(empty, 0.0, (given * wanted).sum(axis=1))


def _tokens(config: Config, pairs: Pairs) -> Floats:
    encoder = _encoder(config.encoder, config.cache)
    given, wanted = encoder.encode_tokens(pairs.given), encoder.encode_tokens(pairs.wanted)
    return np.array([greedy_f1(ours, theirs) for ours, theirs in zip(given, wanted, strict=True)])


_SCORES: dict[Kind, Callable[[Config, Pairs], Floats]] = {"sentence": _sentences, "tokens": _tokens}


@cache
def _encoder(name: str, cache: Path) -> Any:
    from tunewright.models.encoder import Encoder, find_encoder

    return Encoder.load(find_encoder(name, cache))
