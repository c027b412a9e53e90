"""Random insertion: synonyms of words are put in elsewhere (Wei and Zou 2019, EDA, arXiv:1901.11196, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from tunewright.data.augmentations._protocol import Kit, WordsConfig, changes
from tunewright.data.thesaurus import Thesaurus
from tunewright.data.words import Words


class Config(WordsConfig):
    """Settings of random insertion. Synonyms are those of the augmentation `synonyms`."""

    name: Literal["insertion"] = "insertion"


def vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]:
    """Each text with synonyms of some words in front of others; None where none of its words has one.

    Raises:
        ModelError: If the text encoder is not on this machine.
    """
    thesaurus = kit.thesaurus
    return [_widened(text, config.share, Random(seed), thesaurus) for text, seed in zip(texts, seeds, strict=True)]


def _widened(text: Words, share: float, random: Random, thesaurus: Thesaurus) -> str | None:
    words = text.words
    known = [place for place in text.places if thesaurus.near(words[place].lower())]
    # Not at the beginning, which may have a capital, nor within a name.
    gaps = [place for place in range(1, len(words)) if not text.joined[place] and text.parts[2 * place].endswith(" ")]
    if not known or not gaps:
        return None
    parts = list(text.parts)
    for _ in range(changes(len(words), share)):
        put = random.choice(thesaurus.near(words[random.choice(known)].lower()))
        gap = random.choice(gaps)
        parts[2 * gap] = f"{parts[2 * gap]}{put} "
    return "".join(parts)
