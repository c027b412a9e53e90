"""How alike two texts are, from 0 to 1, by one of eleven measures.

`bleu`, `meteor` and the words of `rouge_*` are those of `metrics/`: BLEU of one sentence (only the lengths that there
are, zeros smoothed), METEOR of 2005 without synonyms, ROUGE's F-measure. `gleu` is Google's (Wu et al. 2016,
arXiv:1609.08144): of all runs of one to four words the share that is common, of the side that has more. `fuzzy_match`
is rapidfuzz's `ratio`: 1 minus insertions and deletions over both lengths. `cosine` is that of two embeddings.
"""

from __future__ import annotations

from typing import Literal

from tunewright.evaluate.graders._contract import Graded, GraderConfig, GradingError, Kit
from tunewright.evaluate.graders._templates import Look, fill
from tunewright.metrics._answer import Answer
from tunewright.metrics._ngrams import common_subsequences, matches, number_words, totals
from tunewright.metrics._words import words_of

_GLEU_ORDER = 4


class Config(GraderConfig):
    """Settings of the likeness."""

    type: Literal["text_similarity"] = "text_similarity"
    input: str
    reference: str
    evaluation_metric: Literal[
        "cosine",
        "fuzzy_match",
        "bleu",
        "gleu",
        "meteor",
        "rouge_1",
        "rouge_2",
        "rouge_3",
        "rouge_4",
        "rouge_5",
        "rouge_l",
    ]
    pass_threshold: float | None = None

    def templates(self) -> tuple[str, ...]:
        """Both sides."""
        return self.input, self.reference


def grade(config: Config, look: Look, kit: Kit) -> Graded:
    """The likeness; it passes from the threshold on, half of the scale where none is given."""
    given, wanted = fill(config.input, look), fill(config.reference, look)
    metric = config.evaluation_metric
    if metric == "cosine":
        score = _cosine(given, wanted, kit, config.name)
    elif metric == "fuzzy_match":
        from rapidfuzz import fuzz

        score = fuzz.ratio(given, wanted) / 100
    elif metric in ("bleu", "meteor"):
        score = _of_metric(metric, given, wanted)
    elif metric == "gleu":
        score = _gleu(given, wanted)
    else:
        score = _rouge(metric.removeprefix("rouge_"), given, wanted)
    threshold = 0.5 if config.pass_threshold is None else config.pass_threshold
    return Graded(score, score >= threshold)


def _cosine(given: str, wanted: str, kit: Kit, name: str) -> float:
    if kit.embed is None:
        raise GradingError("other_error", "There is no text encoder to compare meanings with", where=name)
    first, second = kit.embed([given, wanted])
    return float(first @ second)


def _of_metric(metric: str, given: str, wanted: str) -> float:
    from tunewright.base.plugins import METRICS

    measure = METRICS.call(metric, "measure", METRICS.config(metric)(), [Answer("", wanted, given)])[0]
    # BLEU is on sacrebleu's scale, 0 to 100.
    return float(measure.values[0]) / (100 if metric == "bleu" else 1)


def _gleu(given: str, wanted: str) -> float:
    ours, theirs = number_words([given.split()], [wanted.split()])
    shared = int(matches(ours, theirs, _GLEU_ORDER).sum())
    most = max(int(totals(ours, _GLEU_ORDER).sum()), int(totals(theirs, _GLEU_ORDER).sum()))
    return shared / most if most else 0.0


def _rouge(kind: str, given: str, wanted: str) -> float:
    ours, theirs = number_words(words_of([given]), words_of([wanted]))
    if kind == "l":
        shared, both = int(common_subsequences(ours, theirs)[0]), int(ours.lengths[0] + theirs.lengths[0])
    else:
        order = int(kind)
        shared = int(matches(ours, theirs, order)[0, -1])
        both = int(totals(ours, order)[0, -1] + totals(theirs, order)[0, -1])
    return 2 * shared / both if both else 0.0
