"""How often English words are written: the frequency dictionary that comes with symspellpy.

82,765 words: the intersection of Google Books' n-grams and the SCOWL word lists (MIT, see symspellpy's own page).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

DICTIONARY = "frequency_dictionary_en_82_765.txt"
# Pairs of letters seen in less than this share of all running English letter pairs are rare.
_RARE_SHARE = 1e-4


def dictionary_path() -> Path:
    """Where the bundled dictionary lies: a line for each word, `word count`."""
    return Path(str(files("symspellpy") / DICTIONARY))


def read_counts(path: Path) -> dict[str, int]:
    """Word and count of each line of a dictionary; the first line of a word counts.

    Raises:
        ValueError: If a line is not a word and a whole number.
    """
    counts: dict[str, int] = {}
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            parts = line.split()
            if not parts:
                continue
            if len(parts) != 2 or not parts[1].isdecimal():
                raise ValueError(f"{path}:{number}: a line of a dictionary is a word and its count")
            counts.setdefault(parts[0], int(parts[1]))
    return counts


@cache
def word_counts() -> Mapping[str, int]:
    """Lower-case word to how often it was seen among about 10**12 running words."""
    return MappingProxyType(read_counts(dictionary_path()))


@cache
def rare_pairs() -> frozenset[str]:
    """Pairs of letters a to z that hardly stand beside each other in English words, such as `qx`."""
    seen: dict[str, int] = {}
    for word, count in word_counts().items():
        # A few words ("the") would hide how words are built, so that each counts by its magnitude.
        weight = int(math.log2(count + 1))
        for pair in pairwise(word):
            seen["".join(pair)] = seen.get("".join(pair), 0) + weight
    least = _RARE_SHARE * sum(seen.values())
    letters = "abcdefghijklmnopqrstuvwxyz"
    return frozenset(a + b for a in letters for b in letters if seen.get(a + b, 0) < least)
