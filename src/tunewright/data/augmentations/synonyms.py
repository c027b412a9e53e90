"""Synonym replacement: words give way to others that mean alike (Wei and Zou 2019, EDA, arXiv:1901.11196)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from tunewright.data.augmentations._protocol import Kit, WordsConfig, changes
from tunewright.data.thesaurus import Thesaurus
from tunewright.data.words import Words, like


class Config(WordsConfig):
    """Settings of synonym replacement. Synonyms are words whose input vectors are near in the embedded text encoder."""

    name: Literal["synonyms"] = "synonyms"


def vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]:
    """Each text with synonyms in place of some words; None where none of its words has one.

    Raises:
        ModelError: If the text encoder is not on this machine.
    """
    thesaurus = kit.thesaurus
    return [_replaced(text, config.share, Random(seed), thesaurus) for text, seed in zip(texts, seeds, strict=True)]


def _replaced(text: Words, share: float, random: Random, thesaurus: Thesaurus) -> str | None:
    words = text.words
    places = [place for place in text.places if thesaurus.near(words[place].lower())]
    if not places:
        return None
    parts = list(text.parts)
    for place in random.sample(places, min(len(places), changes(len(words), share))):
        parts[2 * place + 1] = like(random.choice(thesaurus.near(words[place].lower())), words[place])
    return "".join(parts)
