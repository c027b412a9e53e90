"""ROUGE: single words, pairs of words and the longest common subsequence that answers share with references.

The F-measure of each answer, averaged; equal to rouge-score (Lin 2004; Google's implementation) without its stemmer on
texts in plain English. That one erases what is not a to z; here words are letters, marks and numbers of any script, and
scripts written without spaces are taken character by character. Of several references the best counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Ints, Measure
from tunewright.metrics._ngrams import common_subsequences, matches, number_words, totals
from tunewright.metrics._references import best_of, pairs_of
from tunewright.metrics._words import stemmed, words_of

ABOUT = {
    "rouge1": About("ROUGE-1", "how many words the answer and the expected one share"),
    "rouge2": About("ROUGE-2", "how many pairs of words in a row the answer and the expected one share"),
    "rougeL": About("ROUGE-L", "how long a row of words, with gaps, the answer and the expected one share"),
}

Kind = Literal["rouge1", "rouge2", "rougeL"]


class Config(PluginConfig):
    """Settings of ROUGE."""

    name: Literal["rouge"] = "rouge"
    kinds: tuple[Kind, ...] = Field(("rouge1", "rouge2", "rougeL"), min_length=1, description="Which are measured.")
    stem: bool = Field(False, description="Whether English words count as the same by their stem (Porter 1980).")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The F-measure of each answer, for each kind; reduced to the mean."""
    require_answers(config.name, answers)
    pairs = pairs_of(answers)
    read = stemmed if config.stem else words_of
    given, wanted = number_words(read(pairs.given), read(pairs.wanted))
    shared: Ints | None = None
    if any(kind != "rougeL" for kind in config.kinds):
        shared = matches(given, wanted, 2)
    found = []
    for kind in dict.fromkeys(config.kinds):
        if kind == "rougeL":
            scores = _f_measure(common_subsequences(given, wanted), given.lengths, wanted.lengths)
        else:
            assert shared is not None, "counted above"
            place = int(kind[-1]) - 1
            scores = _f_measure(shared[:, place], totals(given, 2)[:, place], totals(wanted, 2)[:, place])
        found.append(Measure(kind, scores[best_of(scores, pairs)]))
    return found


def names(config: Config) -> list[str]:
    """The kinds that are asked for."""
    return list(dict.fromkeys(config.kinds))


def _f_measure(shared: Ints, given: Ints, wanted: Ints) -> Floats:
    """Twice what is shared over what there is on both sides; 0 where nothing is shared."""
    scores: Floats = np.where(shared > 0, 2 * shared / np.maximum(given + wanted, 1), 0.0)
    return scores
