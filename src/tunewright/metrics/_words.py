"""Words of any script, for the metrics that compare them."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

_KEPT = (string.ascii_letters + string.digits).encode()
# By byte: letters in lower case, digits as they are, a space for the rest.
_ASCII = bytes(code if code in _KEPT else ord(" ") for code in bytes(range(256)).lower())
# Scripts written without spaces: a character, with the marks on it, is the nearest thing to a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"(?V1)[[{_UNSPACED}]&&\p{{L}}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[[{_UNSPACED}]&&\p{{L}}]]+"


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text in lower case: runs of letters, marks and numbers.

    On ASCII these are rouge-score's tokens without its stemmer.
    """
    return [
        text.encode().translate(_ASCII).decode().split() if text.isascii() else _pattern().findall(text.lower())
        for text in texts
    ]


def stemmed(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text, those of more than three letters cut to their English stem.

    The stem is Porter's of 1980, as Snowball has it; words with other letters than a to z stay as they are.
    """
    return [[stem_of(word) for word in words] for words in words_of(texts)]


@cache
def _pattern() -> Any:
    import regex

    return regex.compile(_WORD)


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")


@lru_cache(maxsize=1 << 16)
def stem_of(word: str) -> str:
    """A word's stem; the word itself where it is short or not English letters."""
    return str(_stemmer().stemWord(word)) if len(word) > 3 and word.isascii() and word.isalpha() else word
