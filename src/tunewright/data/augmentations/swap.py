"""Random swap: pairs of words change places (Wei and Zou 2019, EDA, arXiv:1901.11196, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from tunewright.data.augmentations._protocol import Kit, WordsConfig, changes
from tunewright.data.words import Words


class Config(WordsConfig):
    """Settings of random swap."""

    name: Literal["swap"] = "swap"


def vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]:
    """Each text with some of its words swapped; None where fewer than two may be changed."""
    return [_swapped(text, config.share, Random(seed)) for text, seed in zip(texts, seeds, strict=True)]


def _swapped(text: Words, share: float, random: Random) -> str | None:
    places = text.places
    if len(places) < 2:
        return None
    parts = list(text.parts)
    for _ in range(changes(len(text.words), share)):
        one, other = random.sample(places, 2)
        parts[2 * one + 1], parts[2 * other + 1] = parts[2 * other + 1], parts[2 * one + 1]
    return "".join(parts)
