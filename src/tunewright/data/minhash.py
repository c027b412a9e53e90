"""MinHash: which sets of shingles may be alike, found without comparing each with each.

A text is the set of its shingles, runs of `SHINGLE` characters. Under a random order of all shingles two sets have the
same first one with the probability of their Jaccard similarity (Broder, "On the resemblance and containment of
documents", 1997). Several such orders make a band, and sets that agree in a whole band are candidates (Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4). A byte of each order's first shingle, kept as a
sketch, then tells most of those apart that only met by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHINGLE = 4

# A pair of similarity s shares a band with probability 1 - (1 - s**ROWS)**BANDS: 0.998 at 0.8, 0.97 at 0.7.
BANDS = 12
_ROWS = 4
ORDERS = BANDS * _ROWS
_SEED = 20_011
# Of a bucket larger than this, each text is held against the best one and its neighbours only; rounds do the rest.
_WIDE = 32
_NEIGHBOURS = 4
_CHUNK_PAIRS = 500_000
_BASE = np.uint64(0x9E3779B97F4A7C15)

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]


def shingles(words: Sequence[str]) -> tuple[Hashes, Integers]:
    """Hashes of each text's shingles, one after the other, repeated ones included.

    A text shorter than a shingle is one shingle; an empty one has none.

    Returns:
        The hashes, and where each text's begin and end, shape (len(words) + 1,).
    """
    size = np.array([len(text) for text in words], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(size + SHINGLE)])
    # Padding keeps every window inside the text it starts in, and makes one window of a short text.
    code = np.frombuffer(("\0" * SHINGLE).join([*words, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    windows = np.zeros(max(0, len(code) - SHINGLE + 1), dtype=np.uint64)
    for offset in range(SHINGLE):
        windows = mix(windows + code[offset : offset + len(windows)].astype(np.uint64))
    count = np.where(size == 0, 0, np.maximum(size - SHINGLE + 1, 1))
    ends = np.concatenate([[0], np.cumsum(count)])
    index = np.arange(ends[-1]) + np.repeat(starts[:-1] - ends[:-1], count)
    return windows[index], ends


def mix(values: Hashes) -> Hashes:
    """Spreads 64-bit values (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = values + _BASE
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def signatures(hashes: Hashes, ends: Integers) -> tuple[Hashes, Bytes]:
    """A key for each band of each text, shape (BANDS, texts), and the texts' sketches, shape (texts, BANDS * rows).

    Those of texts without shingles mean nothing.
    """
    keys = np.zeros((BANDS, len(ends) - 1), dtype=np.uint64)
    sketches = np.zeros((len(ends) - 1, ORDERS), dtype=np.uint8)
    full = np.flatnonzero(np.diff(ends))
    if not len(full):
        return keys, sketches
    factors = np.random.default_rng(_SEED).integers(1, 2**63, size=(BANDS, _ROWS), dtype=np.uint64) * 2 + 1
    for band in range(BANDS):
        key = np.zeros(len(full), dtype=np.uint64)
        for number, factor in enumerate(factors[band].astype(np.uint64), band * _ROWS):
            # Multiplying by an odd number permutes the hashes; their upper halves are well spread.
            first = np.minimum.reduceat(hashes * factor, ends[full])
            key = mix(key + first)
            sketches[full, number] = mix(first).astype(np.uint8)
        keys[band, full] = key
    return keys, sketches


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is left of the texts to tell pairs apart by.

    Args:
        bytes: One for each order, shape (texts, orders).
        threshold: Lowest similarity of a pair that is looked for.
    """

    bytes: Bytes
    threshold: float

    def likely_pairs(self, left: Integers, right: Integers) -> Integers:
        """Those pairs that may reach the threshold, each as one number: left * texts + right.

        The share of bytes that agree is binomial about the similarity; a pair falls away below four deviations.
        """
        spread = 4 * (self.threshold * (1 - self.threshold) / ORDERS) ** 0.5
        least = (self.threshold - spread) * ORDERS
        parts = [
            (self.bytes[left[at : at + _CHUNK_PAIRS]] == self.bytes[right[at : at + _CHUNK_PAIRS]]).sum(axis=1) >= least
            for at in range(0, len(left), _CHUNK_PAIRS)
        ]
        likely = np.concatenate([np.empty(0, dtype=bool), *parts])
        pairs: Integers = left[likely] * len(self.bytes) + right[likely]
        return pairs


def candidates(
    bands: Iterable[Hashes], sketches: Sketches, alive: npt.NDArray[np.bool_], rank: Integers
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Likely pairs of living texts that share a band, shape (P, 2), the better first; which stand in wide buckets."""
    living = np.flatnonzero(alive)
    living = living[np.argsort(rank[living], kind="stable")]
    numbers = np.empty(0, dtype=np.int64)  # of a pair: better * n + worse
    crowded = np.zeros(len(alive), dtype=bool)
    for keys in bands:
        order = living[np.argsort(keys[living], kind="stable")]
        ordered = keys[order]
        del keys
        same = ordered[1:] == ordered[:-1]
        # Texts alone in their bucket pair with nobody.
        paired = (np.append(same, False) | np.append(False, same))[: len(order)]
        order, ordered = order[paired], ordered[paired]
        edges = np.flatnonzero(np.diff(ordered)) + 1
        bounds = np.concatenate([[0], edges, [len(order)]])
        width = np.diff(bounds)
        place = np.arange(len(order)) - np.repeat(bounds[:-1], width)
        wide = np.repeat(width > _WIDE, width)
        found = [numbers]
        for step in range(1, min(_WIDE, int(width.max(initial=0)))):
            later = np.flatnonzero((place >= step) & (~wide if step > _NEIGHBOURS else True))
            found.append(sketches.likely_pairs(order[later - step], order[later]))
        far = np.flatnonzero(wide & (place > _NEIGHBOURS))
        found.append(sketches.likely_pairs(order[far - place[far]], order[far]))
        crowded[order[wide]] = True
        numbers = np.unique(np.concatenate(found))
    return np.stack([numbers // len(alive), numbers % len(alive)], axis=1), crowded


def across(
    bands: Iterable[Hashes], sketches: Sketches, first: int, filled: npt.NDArray[np.bool_]
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Likely pairs of one of the first texts and one of the others that share a band, shape (P, 2).

    Also which of the first share one with too many to compare all, shape (first,).
    """
    ours, theirs = np.flatnonzero(filled[:first]), np.flatnonzero(filled[first:]) + first
    crowded = np.zeros(first, dtype=bool)
    numbers = np.empty(0, dtype=np.int64)
    for keys in bands:
        order = theirs[np.argsort(keys[theirs], kind="stable")]
        left, right = (np.searchsorted(keys[order], keys[ours], side=side) for side in ("left", "right"))
        width = np.minimum(right - left, _WIDE)
        crowded[ours[right - left > _WIDE]] = True
        offset = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
        one, other = np.repeat(ours, width), order[np.repeat(left, width) + offset]
        numbers = np.unique(np.concatenate([numbers, sketches.likely_pairs(one, other)]))
    return np.stack([numbers // len(filled), numbers % len(filled)], axis=1), crowded
