"""BLEU of the answers as one corpus: n-gram precision up to four words, with a penalty for answers that are too short.

Tokenised and smoothed as sacrebleu does it (Papineni et al. 2002; Post 2018), to whose score it is equal; n-grams of
pairs are counted many at a time. It is sacrebleu's scale, 0 to 100. Its signature stands beside the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Ints, Measure, Sums
from tunewright.metrics._ngrams import matches, number_words, totals
from tunewright.metrics._tokens_13a import tokenize_13a

ABOUT = {
    "bleu": About(
        "BLEU", "how many runs of up to four words the answers share with the expected ones", best=100.0, is_share=False
    )
}

_ORDER = 4


class Config(PluginConfig):
    """Settings of BLEU."""

    name: Literal["bleu"] = "bleu"
    tokenize: Literal["13a", "intl", "zh", "char", "none"] = Field(
        "13a", description="sacrebleu's tokeniser: `13a` for languages with spaces, `zh` for Chinese, `char`, `none`."
    )
    lowercase: bool = Field(False, description="Whether upper and lower case count as the same.")
    smooth: Literal["exp", "none"] = Field("exp", description="What an n-gram length without a match counts.")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """BLEU of each answer (of the lengths that it has), reduced to that of the corpus by its n-gram counts."""
    from sacrebleu.metrics.bleu import BLEU

    require_answers(config.name, answers)
    scorer = BLEU(tokenize=config.tokenize, lowercase=config.lowercase, smooth_method=config.smooth)
    counts = np.zeros((len(answers), 2 + 2 * _ORDER), dtype=np.int32)
    several = np.array([bool(answer.references) for answer in answers])
    single = [answer for answer in answers if not answer.references]
    counts[~several] = _count(scorer, single)
    for row in np.flatnonzero(
        several
    ).tolist():  # each n-gram counts as often as the reference has it that has it most often
        answer = answers[row]
        found = scorer.corpus_score([answer.prediction], [[right] for right in (answer.reference, *answer.references)])
        counts[row] = [found.sys_len, found.ref_len, *found.counts, *found.totals]
    formula = partial(corpus_bleu, smooth=config.smooth)
    values = corpus_bleu(counts.astype(np.float64), smooth=config.smooth, whole=False)
    lower = "lc" if config.lowercase else "mixed"
    note = f"case:{lower}|eff:no|tok:{config.tokenize}|smooth:{config.smooth}|version:{_version()}"
    return [Measure(config.name, values, sums=Sums(counts), formula=formula, note=note)]


def corpus_bleu(sums: Floats, *, smooth: str, whole: bool = True) -> Floats:
    """BLEU of summed counts: of both lengths, of n-grams that match, of n-grams given; shape (..., 10) to (...).

    Args:
        smooth: `exp` halves the precision that stands in for none from one length without a match to the next.
        whole: Whether lengths of which there are no n-grams make the score 0, as for a corpus; False: they are left
            out, as for a single sentence (sacrebleu's `effective_order`).
    """
    given, wanted = sums[..., 0], sums[..., 1]
    right, total = sums[..., 2 : 2 + _ORDER], sums[..., 2 + _ORDER :]
    with np.errstate(divide="ignore", invalid="ignore"):
        short = np.where(given > 0, np.exp(1 - wanted / given), 0.0)
        penalty = np.where(given < wanted, short, 1.0)
        there = np.cumprod(total > 0, axis=-1)
        missed = (right == 0) & (there > 0)
        stand_in = 0.5 ** np.cumsum(missed, axis=-1) if smooth == "exp" else np.zeros_like(right)
        logs = np.log(np.where(missed, stand_in, right) / total)
        lengths = np.maximum(there.sum(axis=-1), 1)
        mean = np.where(there > 0, logs, 0.0 if not whole else -np.inf).sum(axis=-1) / (_ORDER if whole else lengths)
        found: Floats = np.where(right.sum(axis=-1) > 0, 100 * penalty * np.exp(mean), 0.0)
    return found


def _count(scorer: Any, answers: Sequence[Answer]) -> Ints:
    """Lengths, matches and n-grams of answers with one reference each: shape (n, 10)."""
    given, wanted = number_words(
        _tokenize(scorer, [answer.prediction for answer in answers]),
        _tokenize(scorer, [answer.reference for answer in answers]),
    )
    lengths = np.stack([given.lengths, wanted.lengths], axis=-1)
    return np.concatenate([lengths, matches(given, wanted, _ORDER), totals(given, _ORDER)], axis=-1)


def _tokenize(scorer: Any, texts: Sequence[str]) -> list[list[str]]:
    """The words of each text, by sacrebleu's tokeniser."""
    texts = [(text.lower() if scorer.lowercase else text).rstrip() for text in texts]
    if scorer.tokenizer_signature == "13a":
        return tokenize_13a(texts)
    return [scorer.tokenizer(text).split() for text in texts]


def _version() -> str:
    from sacrebleu import __version__

    return str(__version__)
