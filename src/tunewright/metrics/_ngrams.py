"""Runs of tokens that two texts share, counted for thousands of pairs of texts at once.

Every n-gram of a pair becomes one whole number: the pair, then the tokens' numbers side by side, then the side it comes
from. Sorted once, equal runs of every length lie beside each other: a shorter run is the beginning of a longer one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_WORD_BITS = 63
# Pairs counted together: few enough to stay in a processor's own memory, enough to make up for each call.
_PAIRS_AT_ONCE = 256
# Pairs with more tokens than this are compared one by one.
_MOST_BITS, _MOST_STEPS = 64, 256
_HIGHEST_CHARACTER = 0x110000
# What `str.split` takes for white space; the last entry stands for all characters behind it.
_WHITE = np.array([chr(code).isspace() for code in range(0x3002)])


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Lists of tokens of unequal length, one behind the other.

    Args:
        tokens: Numbers from 0, shape (all tokens,); equal numbers are equal tokens.
        lengths: How many belong to each list, shape (n,).
    """

    tokens: Ints
    lengths: Ints

    def rows(self) -> list[Ints]:
        """The lists, one by one."""
        return [one.tokens for one in self.blocks(1)]

    def blocks(self, at_once: int) -> Iterator[Ragged]:
        """So many of the lists after another."""
        ends = np.concatenate([[0], np.cumsum(self.lengths)])
        for start in range(0, len(self.lengths), at_once):
            lengths = self.lengths[start : start + at_once]
            yield Ragged(self.tokens[ends[start] : ends[start + len(lengths)]], lengths)

    def take(self, chosen: NDArray[np.bool_]) -> Ragged:
        """Only some of the lists, by a mask of shape (n,)."""
        return Ragged(self.tokens[np.repeat(chosen, self.lengths)], self.lengths[chosen])


def number_words(*sides: Sequence[Sequence[str]]) -> list[Ragged]:
    """Lists of words as numbers; equal words have equal numbers on all sides."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    found = []
    for side in sides:
        lengths = np.array([len(words) for words in side], dtype=np.int64)
        tokens = np.array([*map(numbers.__getitem__, chain.from_iterable(side))], dtype=np.int64)
        found.append(Ragged(tokens, lengths))
    return found


def number_characters(*sides: Sequence[str]) -> list[Ragged]:
    """Texts as numbers of their characters, white space left out; equal ones have equal numbers on all sides."""
    found = []
    met = np.zeros(_HIGHEST_CHARACTER, dtype=bool)
    for side in sides:
        codes = np.frombuffer("".join(side).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        kept = ~_WHITE[np.minimum(codes, len(_WHITE) - 1)]
        ends = np.cumsum([len(text) for text in side], dtype=np.int64)
        lengths = np.diff(np.concatenate([[0], np.cumsum(kept)])[ends], prepend=0)
        codes = codes[kept]
        met[codes] = True
        found.append(Ragged(codes, lengths))
    numbers = np.cumsum(met) - 1
    return [Ragged(numbers[side.tokens], side.lengths) for side in found]


def totals(lists: Ragged, order: int) -> Ints:
    """How many n-grams of each length 1…order each list has: shape (n, order)."""
    counts: Ints = np.maximum(lists.lengths[:, None] - np.arange(order), 0)
    return counts


def matches(given: Ragged, wanted: Ragged, order: int) -> Ints:
    """For each pair and each length 1…order, how many n-grams they share, each as often as both have it.

    Returns:
        Shape (n, order).
    """
    n = len(given.lengths)
    found = np.zeros((n, order), dtype=np.int64)
    if not n or not len(given.tokens) or not len(wanted.tokens):
        return found
    kinds = int(max(given.tokens.max(), wanted.tokens.max())) + 1
    if _fits(min(n, _PAIRS_AT_ONCE), kinds, order):
        return _count_in_blocks(given, wanted, order, kinds)
    # Too many different tokens for numbers side by side: number them anew in each pair, where few are different.
    given, wanted, kinds_of = _number_by_pair(given, wanted, kinds)
    widths = np.array([int(each).bit_length() for each in kinds_of])
    for width in np.unique(widths[widths > 0]):
        chosen = widths == width
        if _fits(1, (1 << int(width)) - 1, order):
            found[chosen] = _count_in_blocks(given.take(chosen), wanted.take(chosen), order, (1 << int(width)) - 1)
        else:
            pairs = zip(given.take(chosen).rows(), wanted.take(chosen).rows(), strict=True)
            found[chosen] = [_count_one(ours, theirs, order) for ours, theirs in pairs]
    return found


def _fits(n: int, kinds: int, order: int) -> bool:
    """Whether pair, tokens (one more: none) and side fit into one number."""
    return n.bit_length() + order * kinds.bit_length() + 1 <= _WORD_BITS


def _number_by_pair(given: Ragged, wanted: Ragged, kinds: int) -> tuple[Ragged, Ragged, Ints]:
    """The same pairs with tokens numbered from 0 in each, and how many different ones each has."""
    n = len(given.lengths)
    pair = np.concatenate([np.repeat(np.arange(n), given.lengths), np.repeat(np.arange(n), wanted.lengths)])
    met, number = np.unique(pair * kinds + np.concatenate([given.tokens, wanted.tokens]), return_inverse=True)
    different = np.bincount(met // kinds, minlength=n)
    number = number - (np.cumsum(different) - different)[pair]
    cut = len(given.tokens)
    return Ragged(number[:cut], given.lengths), Ragged(number[cut:], wanted.lengths), different


def _count_in_blocks(given: Ragged, wanted: Ragged, order: int, kinds: int) -> Ints:
    at_once = 1
    while at_once < _PAIRS_AT_ONCE and _fits(2 * at_once, kinds, order):
        at_once *= 2
    blocks = zip(given.blocks(at_once), wanted.blocks(at_once), strict=True)
    return np.concatenate([_count(ours, theirs, order, kinds) for ours, theirs in blocks])


def _count(given: Ragged, wanted: Ragged, order: int, kinds: int) -> Ints:
    n, bits = len(given.lengths), kinds.bit_length()
    runs = np.concatenate([_runs(given, order, bits) << 1, _runs(wanted, order, bits) << 1 | 1])
    runs.sort()
    until = np.concatenate([[0], np.cumsum(runs & 1)])  # how many of theirs stand in front of each
    pairs = np.concatenate([[0], np.cumsum(given.lengths + wanted.lengths)])
    # Where a run differs from the one before: shorter runs differ only where longer ones do, so edges become fewer.
    unlike = np.concatenate([runs[:1], runs[1:] ^ runs[:-1]]) >> 1
    unlike[0] = 1 << (_WORD_BITS - 1)  # the first one begins a run of every length
    edges = np.flatnonzero(unlike != 0)
    last = (1 << bits) - 1
    found = np.zeros((n, order), dtype=np.int64)
    for length in range(order, 0, -1):
        behind = bits * (order - length)
        edges = edges[np.flatnonzero(unlike[edges] >= 1 << behind)]
        ends = np.append(edges, len(runs))
        theirs = until[ends]
        wanted_times = theirs[1:] - theirs[:-1]
        shared = np.minimum(ends[1:] - edges - wanted_times, wanted_times)
        shared *= (runs[edges] & (last << (1 + behind))) != 0  # else it runs over the end of its text
        counted = np.concatenate([[0], np.cumsum(shared)])
        found[:, length - 1] = np.diff(counted[np.searchsorted(edges, pairs)])
    return found


def _runs(lists: Ragged, order: int, bits: int) -> Ints:
    """For each token the pair and the `order` tokens from it on, in one number; 0 stands behind a list's end."""
    n = len(lists.lengths)
    pair = np.repeat(np.arange(n), lists.lengths)
    place = np.arange(len(lists.tokens)) + order * pair
    part = np.zeros(len(lists.tokens) + order * (n + 1), dtype=np.int64)
    part[place] = lists.tokens + 1
    # Runs of twice the length are two runs side by side: 1, 2, 4 and so on, and of these what `order` is made of.
    run, reached, width = np.zeros_like(part), 0, 1
    while True:
        if order & width:
            end = len(part) - reached
            run = run[:end] << (bits * width) | part[reached:]
            reached += width
        if 2 * width > order:
            runs: Ints = run[place] | pair << (bits * order)
            return runs
        part = part[:-width] << (bits * width) | part[width:]
        width *= 2


def _count_one(given: Ints, wanted: Ints, order: int) -> list[int]:
    """The plain way, for pairs with more different tokens than fit."""
    return [
        sum((Counter(_grams(given.tolist(), length)) & Counter(_grams(wanted.tolist(), length))).values())
        for length in range(1, order + 1)
    ]


def _grams(tokens: list[int], length: int) -> Iterable[tuple[int, ...]]:
    return zip(*(tokens[step:] for step in range(length)), strict=False)


def common_subsequences(given: Ragged, wanted: Ragged) -> Ints:
    """Length of the longest common subsequence of each pair: shape (n,).

    By bits: one for each token of `wanted` in a row that is gone over once for each token of `given`, for all pairs of
    ordinary length side by side.
    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited".
    """
    found = np.zeros(len(given.lengths), dtype=np.int64)
    ordinary = (wanted.lengths < _MOST_BITS) & (given.lengths <= _MOST_STEPS)
    found[ordinary] = _side_by_side(given.take(ordinary), wanted.take(ordinary))
    pairs = zip(given.take(~ordinary).rows(), wanted.take(~ordinary).rows(), strict=True)
    found[~ordinary] = [_one_subsequence(ours.tolist(), theirs.tolist()) for ours, theirs in pairs]
    return found


def _side_by_side(given: Ragged, wanted: Ragged) -> Ints:
    n = len(given.lengths)
    if not n or not len(given.tokens) or not len(wanted.tokens):
        return np.zeros(n, dtype=np.int64)
    kinds = int(max(given.tokens.max(), wanted.tokens.max())) + 1
    pair, place = _places(wanted)
    keys = pair * kinds + wanted.tokens
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    bits = np.bitwise_or.reduceat(np.uint64(1) << place[order].astype(np.uint64), first)
    pair, place = _places(given)
    asked = pair * kinds + given.tokens
    at = np.minimum(np.searchsorted(keys[first], asked), len(first) - 1)
    steps = np.zeros((int(given.lengths.max()), n), dtype=np.uint64)
    steps[place, pair] = np.where(keys[first][at] == asked, bits[at], np.uint64(0))
    every: NDArray[np.uint64] = (np.uint64(1) << wanted.lengths.astype(np.uint64)) - np.uint64(1)
    row = every
    for step in steps:
        kept = np.bitwise_and(row, step)
        row = np.bitwise_or(row + kept, row - kept)
    lengths: Ints = wanted.lengths - np.bitwise_count(np.bitwise_and(row, every))
    return lengths


def _places(lists: Ragged) -> tuple[Ints, Ints]:
    """The list that each token stands in, and its place there."""
    lengths = lists.lengths
    place = np.arange(len(lists.tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(np.arange(len(lengths)), lengths), place


def _one_subsequence(given: Sequence[int], wanted: Sequence[int]) -> int:
    places: dict[int, int] = {}
    bit = 1
    for token in wanted:
        places[token] = places.get(token, 0) | bit
        bit <<= 1
    row = every = bit - 1
    for token in given:
        if token in places:
            step = row & places[token]
            row = (row + step) | (row - step)
    return len(wanted) - (row & every).bit_count()
