"""Near copies among texts that come one after another.

Two texts are near as in `data/near.py`: by the Jaccard similarity of their sets of shingles. Sets that are near share
one of their first shingles in any fixed order of all shingles (prefix filtering: Bayardo, Ma and Srikant, "Scaling up
all pairs similarity search", 2007), so only texts that do are compared, and none is missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import numpy as np

from tunewright.data.minhash import Hashes, shingles
from tunewright.data.near import words_of

_AT_ONCE = 5000
_ROUNDING = 1e-9  # 0.55 times 100 is a little more than 55


class Copies:
    """Texts that new ones must not be near to. Holds about eight bytes for each character."""

    def __init__(self, threshold: float) -> None:
        """`threshold` is the lowest Jaccard similarity that counts as near, above 0 and at most 1."""
        self.threshold = threshold
        self._sets: list[Hashes] = []
        self._first: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def add(self, texts: Iterable[str]) -> None:
        """Puts texts among them; those without a word are near to nothing."""
        waiting = iter(texts)
        while some := list(islice(waiting, _AT_ONCE)):
            for found in _sets(some):
                if not len(found):
                    continue
                for shingle in self._prefix(found):
                    self._first.setdefault(int(shingle), []).append(len(self._sets))
                self._sets.append(found)

    def is_near(self, text: str) -> bool:
        """Whether a text is near to one of them."""
        (found,) = _sets([text])
        candidates = {number for shingle in self._prefix(found) for number in self._first.get(int(shingle), ())}
        return any(_jaccard(found, self._sets[number]) >= self.threshold for number in sorted(candidates))

    def _prefix(self, found: Hashes) -> Hashes:
        return found[: len(found) - math.ceil(self.threshold * len(found) - _ROUNDING) + 1]


def _sets(texts: Sequence[str]) -> list[Hashes]:
    """Each text's distinct shingles, in order."""
    hashes, ends = shingles([words_of(text) for text in texts])
    return [np.unique(hashes[start:end]) for start, end in pairwise(ends)]


def _jaccard(one: Hashes, other: Hashes) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
