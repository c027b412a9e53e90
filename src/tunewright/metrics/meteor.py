"""METEOR of the answers as one corpus: words matched exactly and by stem, recall above all, broken order punished.

Banerjee and Lavie 2005: words are matched one to one, exactly first, then what is left by Porter's stem, in each stage
with as many matches and as few crossings as can be; F = 10·P·R / (R + 9·P); a penalty of 0.5 · (chunks / matches)³, a
chunk being a run of matches that lie side by side in both texts. The corpus's score is that of its summed counts, and
of several references the one counts that the answer scores best with. WordNet's synonyms, the paper's third stage, are
left out, as are the paraphrases and tuned weights of later versions: scores lie below those of tools that have them.
Stems are English; in other languages words match exactly. Where words repeat, crossings are kept few by a search that
follows the 40 best ways, and for each word the six free places nearest to where the last match goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Measure, Sums
from tunewright.metrics._references import best_of, pairs_of
from tunewright.metrics._words import stem_of, words_of

ABOUT = {
    "meteor": About(
        "METEOR", "how many words, or stems of words, answers share with expected ones, in order", best=None
    )
}

_BEAM, _NEAREST = 40, 6

Match = tuple[int, int]  # the place of a word in the answer, and of its match in the reference


class Config(PluginConfig):
    """METEOR has no settings."""

    name: Literal["meteor"] = "meteor"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """METEOR of each answer, reduced to that of the corpus by counts of words, matches and chunks."""
    require_answers(config.name, answers)
    pairs = pairs_of(answers)
    words = zip(words_of(pairs.given), words_of(pairs.wanted), strict=True)
    columns = np.array([count(given, wanted) for given, wanted in words], dtype=np.int32)
    scores = corpus_meteor(columns.astype(np.float64))
    chosen = best_of(scores, pairs)
    note = "METEOR 2005, exact and Porter stem, no WordNet"
    return [Measure(config.name, scores[chosen], sums=Sums(columns[chosen]), formula=corpus_meteor, note=note)]


def corpus_meteor(sums: Floats) -> Floats:
    """METEOR of summed counts of matches, words given, words wanted and chunks: shape (..., 4) to (...)."""
    matched, given, wanted, chunks = np.moveaxis(sums, -1, 0)
    some = np.maximum(matched, 1)
    precision, recall = matched / np.maximum(given, 1), matched / np.maximum(wanted, 1)
    mean = 10 * precision * recall / np.where(matched > 0, recall + 9 * precision, 1)
    scores: Floats = np.where(matched > 0, mean * (1 - 0.5 * (chunks / some) ** 3), 0.0)
    return scores


def count(given: Sequence[str], wanted: Sequence[str]) -> tuple[int, int, int, int]:
    """Matches, words given, words wanted, and chunks of one pair."""
    exact = align(given, wanted, [])
    matched = align([stem_of(word) for word in given], [stem_of(word) for word in wanted], exact)
    breaks = sum((after[0] - before[0], after[1] - before[1]) != (1, 1) for before, after in pairwise(matched))
    return len(matched), len(given), len(wanted), breaks + bool(matched)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to match the words of an answer up to some place: its matches, and their places in the reference."""

    crossings: int
    breaks: int
    pairs: tuple[Match, ...]
    used: int  # a bit for each place


def align(given: Sequence[str], wanted: Sequence[str], fixed: Sequence[Match]) -> list[Match]:
    """Matches equal words one to one, beside those that are matched already: as many, and as uncrossed, as can be.

    Returns:
        All matches, by place in the answer.
    """
    taken_given, taken_wanted = {one for one, _ in fixed}, {other for _, other in fixed}
    places: dict[str, list[int]] = {}
    for place, word in enumerate(wanted):
        if place not in taken_wanted:
            places.setdefault(word, []).append(place)
    asking = [place for place in range(len(given)) if place not in taken_given and given[place] in places]
    left = Counter(given[place] for place in asking)
    ways = [_Way(0, 0, (), 0)]
    for place in asking:
        word = given[place]
        grown = []
        for way in ways:
            free = [other for other in places[word] if not way.used >> other & 1]
            grown += [_extended(way, (place, other), fixed) for other in _nearest(free, way)]
            if left[word] > len(free):  # one too many: this one, or a later one, goes without
                grown.append(way)
        left[word] -= 1
        ways = sorted(grown, key=lambda way: (way.crossings, way.breaks))[:_BEAM]
    return sorted([*fixed, *ways[0].pairs])


def _nearest(free: list[int], way: _Way) -> list[int]:
    """The free places nearest to where the last match would go on."""
    goes_on = way.pairs[-1][1] + 1 if way.pairs else 0
    return free if len(free) <= _NEAREST else sorted(free, key=lambda other: abs(other - goes_on))[:_NEAREST]


def _extended(way: _Way, match: Match, fixed: Sequence[Match]) -> _Way:
    place, other = match
    crossings = (way.used >> other).bit_count() + sum((place - one) * (other - theirs) < 0 for one, theirs in fixed)
    goes_on = bool(way.pairs) and way.pairs[-1] == (place - 1, other - 1)
    used = way.used | 1 << other
    return _Way(way.crossings + crossings, way.breaks + (not goes_on), (*way.pairs, match), used)
