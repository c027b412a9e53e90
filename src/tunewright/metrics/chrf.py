"""chrF of the answers as one corpus: F-score of runs of up to six characters, recall counting twice.

White space is left out, so it fits languages without spaces between words as well (Popović 2015). Equal to sacrebleu's
chrF2 on its scale of 0 to 100; runs are counted for many pairs at a time. Of several references the one counts that
the answer is most like. sacrebleu's signature stands beside the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Measure, Sums
from tunewright.metrics._ngrams import matches, number_characters, totals
from tunewright.metrics._references import best_of, pairs_of

ABOUT = {
    "chrf": About(
        "chrF", "how many runs of up to six characters answers and expected answers share", best=100.0, is_share=False
    )
}

_ORDER = 6
_BETA = 2


class Config(PluginConfig):
    """Settings of chrF."""

    name: Literal["chrf"] = "chrf"
    lowercase: bool = Field(False, description="Whether upper and lower case count as the same.")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """chrF of each answer, reduced to that of the corpus by its counts of runs."""
    require_answers(config.name, answers)
    pairs = pairs_of(answers)

    sides = [[text.lower() for text in side] if config.lowercase else side for side in (pairs.given, pairs.wanted)]
    given, wanted = number_characters(*sides)
    there = totals(wanted, _ORDER)
    # Runs of a length that the reference does not have are no mistake of the answer's.
    counts = [np.where(there > 0, totals(given, _ORDER), 0), there, matches(given, wanted, _ORDER)]
    columns = np.concatenate(counts, axis=-1).astype(np.int32)
    scores = corpus_chrf(columns.astype(np.float64))
    chosen = best_of(scores, pairs)
    lower = "lc" if config.lowercase else "mixed"
    note = f"case:{lower}|eff:yes|nc:{_ORDER}|nw:0|space:no|as sacrebleu 2"
    return [Measure(config.name, scores[chosen], sums=Sums(columns[chosen]), formula=corpus_chrf, note=note)]


def corpus_chrf(sums: Floats) -> Floats:
    """chrF of summed counts, of runs given, wanted and shared, by length: shape (..., 18) to (...).

    Precision and recall are averaged over the lengths that both sides have.
    """
    given, wanted, shared = (sums[..., start : start + _ORDER] for start in range(0, 3 * _ORDER, _ORDER))
    there = (given > 0) & (wanted > 0)
    lengths = np.maximum(there.sum(axis=-1), 1)
    precision = np.where(there, shared / np.maximum(given, 1), 0).sum(axis=-1) / lengths
    recall = np.where(there, shared / np.maximum(wanted, 1), 0).sum(axis=-1) / lengths
    weighed = _BETA**2 * precision + recall
    scores: Floats = np.where(
        weighed > 0, 100 * (1 + _BETA**2) * precision * recall / np.where(weighed > 0, weighed, 1), 0.0
    )
    return scores
