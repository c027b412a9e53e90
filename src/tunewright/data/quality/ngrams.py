"""Runs of words that two sides have in common: the test for contamination of GPT-3's authors.

Source: Brown et al., "Language Models are Few-Shot Learners", 2020, https://arxiv.org/abs/2005.14165, appendix C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.data.minhash import Hashes, Integers

# The length of a run is the 5th percentile of the texts' lengths within these bounds (appendix C): below 8 words runs
# meet by chance, beyond 13 nothing more is found.
SHORTEST, LONGEST = 8, 13
_PERCENTILE = 5
# A run that so many texts share is a turn of phrase or a form letter, and says nothing of where a text comes from.
_MOST_OWNERS = 10
_CHUNK_TEXTS = 50_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What was found.

    Args:
        found_in: For each text the other that shares a run of `n` words with it, or -1; shape (texts,).
        n: Words in a run.
        too_short: Texts with fewer words, which only an exact or near match can find.
    """

    found_in: Integers
    n: int
    too_short: int


def run_length(texts: Sequence[str]) -> int:
    """Words in a run, by the lengths of the texts: their 5th percentile, within 8 and 13."""
    words = [text.count(" ") + 1 for text in texts if text]
    if not words:
        return LONGEST
    return int(np.clip(np.floor(np.percentile(words, _PERCENTILE)), SHORTEST, LONGEST))


def overlaps(texts: Sequence[str], others: Sequence[str], n: int) -> Overlap:
    """Which texts share a run of `n` words with one of the others.

    Args:
        texts: Texts reduced to words with single spaces between them.
        others: What they are held against, likewise.
        n: Words in a run.
    """
    runs, owner = _runs(texts, n)
    wanted = np.unique(runs)
    owners = np.zeros(len(wanted), dtype=np.int64)
    first = np.full(len(wanted), -1, dtype=np.int64)
    for start in range(0, len(others), _CHUNK_TEXTS):
        theirs, whose = _runs(others[start : start + _CHUNK_TEXTS], n)
        at, is_wanted = _positions(wanted, theirs)
        pairs = np.unique(np.stack([at[is_wanted], whose[is_wanted] + start]), axis=1)
        owners += np.bincount(pairs[0], minlength=len(wanted))
        new, earliest = np.unique(pairs[0], return_index=True)
        unknown = first[new] < 0
        first[new[unknown]] = pairs[1][earliest[unknown]]
    found_in = np.full(len(texts), -1, dtype=np.int64)
    at, _ = _positions(wanted, runs)
    tells = (owners[at] > 0) & (owners[at] <= _MOST_OWNERS)
    # Written from behind, so that the first run of each text is the one that stays.
    found_in[owner[tells][::-1]] = first[at[tells][::-1]]
    too_short = sum(text.count(" ") + 1 < n for text in texts)
    return Overlap(found_in, n, too_short)


def _positions(wanted: Hashes, hashes: Hashes) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Where each hash stands in the sorted ones, and whether it does."""
    if not len(wanted):
        return np.zeros(len(hashes), dtype=np.int64), np.zeros(len(hashes), dtype=bool)
    at = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
    return at, wanted[at] == hashes


def _runs(texts: Sequence[str], n: int) -> tuple[Hashes, Integers]:
    """A hash of each run of n words, and the position of the text it stands in."""
    split = pl.Series(texts, dtype=pl.String).str.extract_all("[^ ]+")
    sizes = split.list.len().cast(pl.Int64).to_numpy()
    words: Hashes = split.explode().drop_nulls().hash(seed=0).to_numpy()
    count = np.maximum(sizes - n + 1, 0)
    starts = np.cumsum(sizes) - sizes
    index = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(starts, count)
    runs = np.zeros(len(index), dtype=np.uint64)
    for offset in range(n):
        runs = runs * _FACTOR + words[index + offset]
    return runs, np.repeat(np.arange(len(texts)), count)
