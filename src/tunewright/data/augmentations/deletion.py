"""Random deletion: each word goes with a probability (Wei and Zou 2019, EDA, arXiv:1901.11196, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from tunewright.data.augmentations._protocol import Kit, WordsConfig
from tunewright.data.words import Words


class Config(WordsConfig):
    """Settings of random deletion; `share` is the probability."""

    name: Literal["deletion"] = "deletion"


def vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]:
    """Each text without some of its words, at least one; None where no word can go."""
    return [_shortened(text, config.share, Random(seed)) for text, seed in zip(texts, seeds, strict=True)]


def _shortened(text: Words, share: float, random: Random) -> str | None:
    # A word that a bracket or a number touches on its left would leave that standing oddly.
    places = [place for place in text.places if not text.parts[2 * place].strip()]
    if not places or len(text.words) < 2:
        return None
    gone = {place for place in places if random.random() < share} or {random.choice(places)}
    if len(gone) == len(text.words):
        gone.remove(random.choice(sorted(gone)))
    parts = list(text.parts)
    for place in sorted(gone, reverse=True):
        left, _, right = parts[2 * place : 2 * place + 3]
        between = right if right.strip() else left
        parts[2 * place : 2 * place + 3] = [between if place else between.lstrip()]
    return "".join(parts)
