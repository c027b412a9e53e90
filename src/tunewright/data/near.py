"""Texts that are nearly the same: MinHash proposes pairs, their true Jaccard similarity decides.

A text is the set of its shingles (`data/minhash.py`) after folding and reduction to words. Two texts are near when
their sets' Jaccard similarity |A ∩ B| / |A ∪ B| reaches the threshold. Every candidate is verified, so no pair is
reported that is not near.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
import numpy.typing as npt

from tunewright.base.files import disk_guard
from tunewright.data.folding import fold
from tunewright.data.minhash import (
    BANDS,
    ORDERS,
    Hashes,
    Integers,
    Sketches,
    across,
    candidates,
    mix,
    shingles,
    signatures,
)

NEAR = 0.85  # the Jaccard similarity from which texts count as near where nobody says otherwise
_CHUNK_TEXTS = 2_000  # whose shingles stay in the processor's cache
_CHUNK_PAIRS = 200_000
_NOT_A_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Near:
    """What was found among n texts.

    Args:
        kept_by: For each text the better one it is near to, or -1 where it stays; shape (n,).
        similarity: The Jaccard similarity of the two, 0 where it stays; shape (n,).
        crowd: Which texts stand in buckets too wide to compare every pair of, shape (n,): near ones may be left.
    """

    kept_by: Integers
    similarity: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]

    @property
    def crowded(self) -> int:
        """How many stand in such buckets."""
        return int(self.crowd.sum())


def near_copies(
    texts: Sequence[str],
    *,
    threshold: float,
    rank: Integers,
    group: Hashes | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Near:
    """Which texts are near copies of better ones.

    Each text that goes is near to one that stays. No two that stay share a band and are near, crowded ones apart.

    Args:
        texts: The texts. One without a single word is near to nothing.
        threshold: Lowest Jaccard similarity that counts as near, above 0 and at most 1.
        rank: Position of each text in the order of preference, the best first; a permutation, shape (n,).
        group: Only texts of equal group are compared, shape (n,); none: all are.
        progress: Is told how many texts have been read.
    """
    with NearIndex() as index:
        for start in range(0, len(texts), _CHUNK_TEXTS):
            stop = start + _CHUNK_TEXTS
            index.add(texts[start:stop], None if group is None else group[start:stop])
            progress(min(stop, len(texts)))
        return index.near(threshold, rank)


class NearIndex:
    """Texts among which near copies are looked for.

    Their words and bands are kept on disk: in memory a text takes some tens of bytes, and some hundred while pairs
    are sought.
    """

    def __init__(self) -> None:
        with disk_guard(Path(tempfile.gettempdir())):
            self._folder = tempfile.TemporaryDirectory(prefix="tunewright-near-")
        folder = Path(self._folder.name)
        self._words = _Words(folder / "words")
        self._bands = [(folder / f"band-{number}").open("wb") for number in range(BANDS)]
        self._sketches = (folder / "sketches").open("wb")
        self._filled: list[npt.NDArray[np.bool_]] = [np.empty(0, dtype=bool)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._words.close()
        for file in (*self._bands, self._sketches):
            file.close()
        self._folder.cleanup()

    def add(self, texts: Sequence[str], group: Hashes | None = None) -> None:
        """Puts texts at the end; only those of equal group are compared."""
        for start in range(0, len(texts), _CHUNK_TEXTS):
            words = [words_of(text) for text in texts[start : start + _CHUNK_TEXTS]]
            bands, sketches = signatures(*shingles(words))
            if group is not None:
                bands = mix(bands ^ mix(group[start : start + _CHUNK_TEXTS]))
            with disk_guard(Path(self._folder.name)):
                self._words.add(words)
                for file, keys in zip(self._bands, bands, strict=True):
                    keys.tofile(file)
                sketches.tofile(self._sketches)
            self._filled.append(np.array([bool(text) for text in words], dtype=bool))

    def near(self, threshold: float, rank: Integers) -> Near:
        """Which texts are near copies of better ones; as `near_copies`."""
        alive, sketches = self._flushed(threshold)
        kept_by = np.full(len(alive), -1, dtype=np.int64)
        similarity = np.zeros(len(alive))
        while True:
            pairs, crowded = candidates(map(_read_band, self._bands), sketches, alive, rank)
            value = _similarities(self._words, pairs)
            near = value >= threshold
            gone = _settle(pairs[near], value[near], rank, kept_by, similarity)
            alive[gone] = False
            if not crowded.any() or not len(gone):
                return Near(kept_by, similarity, crowded)

    def nearest(self, threshold: float, first: int) -> Near:
        """For each of the first texts the nearest of the others, where there is a near one; as `nearest`."""
        filled, sketches = self._flushed(threshold)
        pairs, crowd = across(map(_read_band, self._bands), sketches, first, filled)
        value = _similarities(self._words, pairs)
        kept_by, similarity = np.full(first, -1, dtype=np.int64), np.zeros(first)
        order = np.lexsort((-pairs[:, 1], value))  # the nearest last, of equally near ones the first
        order = order[value[order] >= threshold]
        text, other = pairs[order].T
        kept_by[text], similarity[text] = other - first, value[order]
        return Near(kept_by, similarity, crowd)

    def _flushed(self, threshold: float) -> tuple[npt.NDArray[np.bool_], Sketches]:
        """Which texts have a word, and the sketches of all; all can be read from now on."""
        with disk_guard(Path(self._folder.name)):
            self._words.flush()
            for file in (*self._bands, self._sketches):
                file.flush()
        filled = np.concatenate(self._filled)
        sketches = np.fromfile(self._sketches.name, dtype=np.uint8).reshape(len(filled), ORDERS)
        return filled, Sketches(sketches, threshold)


class _Words:
    """Texts reduced to words, in a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._sizes: list[npt.NDArray[np.uint32]] = [np.zeros(1, dtype=np.uint32)]

    def add(self, words: Sequence[str]) -> None:
        coded = [text.encode("utf-8", "surrogatepass") for text in words]
        self._sizes.append(np.array([len(text) for text in coded], dtype=np.uint32))
        self._file.write(b"".join(coded))

    def flush(self) -> None:
        self._file.flush()
        self._ends = np.cumsum(np.concatenate(self._sizes), dtype=np.int64)

    def take(self, numbers: Integers) -> list[str]:
        """The texts of these numbers."""
        file = self._file.fileno()
        places = zip(self._ends[numbers].tolist(), self._ends[numbers + 1].tolist(), strict=True)
        return [os.pread(file, end - start, start).decode("utf-8", "surrogatepass") for start, end in places]

    def close(self) -> None:
        self._file.close()


def _read_band(file: IO[bytes]) -> Hashes:
    return np.fromfile(file.name, dtype=np.uint64)


def nearest(texts: Sequence[str], others: Sequence[str], *, threshold: float) -> Near:
    """For each text the nearest of the others, where there is a near one.

    Args:
        texts: The texts. One without a single word is near to nothing.
        others: What they are held against.
        threshold: Lowest Jaccard similarity that counts as near, above 0 and at most 1.

    Returns:
        `kept_by` is a position in `others`, or -1; `crowded` counts the texts that share a band with so many others
        that not all of these were compared.
    """
    with NearIndex() as index:
        index.add(texts)
        index.add(others)
        return index.nearest(threshold, len(texts))


def words_of(text: str) -> str:
    """A text reduced to what is compared: folded, its words joined by single spaces."""
    return _NOT_A_WORD.sub(" ", fold(text)).strip()


def _similarities(words: _Words, pairs: Integers) -> npt.NDArray[np.float64]:
    """Jaccard similarity of each pair's sets of shingles, shape (P,)."""
    parts = [_jaccard(words, pairs[start : start + _CHUNK_PAIRS]) for start in range(0, len(pairs), _CHUNK_PAIRS)]
    return np.concatenate(parts) if parts else np.empty(0)


def _jaccard(words: _Words, pairs: Integers) -> npt.NDArray[np.float64]:
    texts, index = np.unique(pairs, return_inverse=True)
    hashes, sizes = _distinct(*shingles(words.take(texts)))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    left, right = index.reshape(pairs.shape).T
    # Each pair's two sets under keys of its own: what is in both stands there twice.
    number = mix(np.arange(len(pairs), dtype=np.uint64))
    keys = np.concatenate(
        [
            hashes[np.arange(sizes[side].sum()) + np.repeat(starts[side] - _before(sizes[side]), sizes[side])]
            ^ np.repeat(number, sizes[side])
            for side in (left, right)
        ]
    )
    owner = np.concatenate([np.repeat(np.arange(len(pairs)), sizes[side]) for side in (left, right)])
    order = np.argsort(keys)
    keys, owner = keys[order], owner[order]
    shared = np.bincount(owner[1:][keys[1:] == keys[:-1]], minlength=len(pairs))
    value: npt.NDArray[np.float64] = shared / (sizes[left] + sizes[right] - shared)
    return value


def _before(sizes: Integers) -> Integers:
    total: Integers = np.cumsum(sizes) - sizes
    return total


def _distinct(hashes: Hashes, ends: Integers) -> tuple[Hashes, Integers]:
    """Each text's distinct hashes, one text after the other, and how many each has."""
    owner = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[first], np.bincount(owner[first], minlength=len(ends) - 1)


def _settle(
    pairs: Integers,
    value: npt.NDArray[np.float64],
    rank: Integers,
    kept_by: Integers,
    similarity: npt.NDArray[np.float64],
) -> Integers:
    """Lets the best texts stay and their near copies go, in order of rank; notes who keeps whom, gives who went."""
    gone = []
    for better, worse, found in _by_rank(pairs, value, rank):
        if kept_by[better] < 0 and (kept_by[worse] < 0 or found > similarity[worse]):
            if kept_by[worse] < 0:
                gone.append(worse)
            kept_by[worse], similarity[worse] = better, found
    return np.array(gone, dtype=np.int64)


def _by_rank(pairs: Integers, value: npt.NDArray[np.float64], rank: Integers) -> Iterator[tuple[int, int, float]]:
    """Each pair as (better, worse, similarity), the best first."""
    order = np.lexsort((rank[pairs[:, 1]], rank[pairs[:, 0]]))
    yield from zip(*pairs[order].T.tolist(), value[order].tolist(), strict=True)
