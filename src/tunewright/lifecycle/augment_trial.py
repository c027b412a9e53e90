"""Whether augmented rows help: a light classifier learns with and without them, several times, and is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunewright.base.errors import ModelError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.data.augmenting import Sample, Trial, Verdict

# Each time the classifier learns from so many of the rows, drawn anew, so that one lucky draw does not decide.
_SHARE = 0.8
# A classifier of words learns about as many in a second or two.
_WORDS_ROWS = 2_000
_DECIDES = "macro_f1"

# Learns from the first samples, and gives labels for the others.
Classify = Callable[[Sequence[Sample], Sequence[Sample], int], list[str]]


@dataclass(frozen=True, slots=True)
class _Scores:
    macro_f1: float
    accuracy: float


def try_augmented(trial: Trial, *, cache: Path | None, listener: Listener = ignore) -> Verdict:
    """Compares classifiers that learned with and without augmented rows, on the validation rows.

    Each time both learn from the same random 80 % of the rows of each class, one of them from what was made of these
    as well. Kept is what does not lower the mean macro-F1, in which rare classes count as much as frequent ones.

    Args:
        trial: The rows.
        cache: Where the text encoder is looked for; where it is not, words are counted.
        listener: Hears how far it is.
    """
    features, classify, own = _classifier(trial, cache, listener)
    before: list[_Scores] = []
    after: list[_Scores] = []
    for time in range(trial.times):
        listener(Stage("augmentation trial", "progress", time, trial.times, "trials"))
        seed = derive(trial.seed, "trial", time)
        drawn = _draw(own, seed)
        parents = {sample.parent for sample in drawn}
        added = [sample for sample in trial.made if sample.parent in parents]
        before.append(_score(trial.held, classify(drawn, trial.held, seed)))
        after.append(_score(trial.held, classify([*drawn, *added], trial.held, seed)))
    listener(Stage("augmentation trial", "progress", trial.times, trial.times, "trials"))
    return _verdict(trial, features, before, after)


def _verdict(trial: Trial, features: str, before: Sequence[_Scores], after: Sequence[_Scores]) -> Verdict:
    gains = [having.macro_f1 - lacking.macro_f1 for having, lacking in zip(after, before, strict=True)]
    gain = math.fsum(gains) / len(gains)
    error = float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    means = {
        name: {
            score: math.fsum(getattr(each, score) for each in found) / len(found) for score in (_DECIDES, "accuracy")
        }
        for name, found in (("without", before), ("with", after))
    }
    keep = gain >= 0
    lacking, having = means["without"][_DECIDES], means["with"][_DECIDES]
    told = (
        f"Augmented rows are {'kept' if keep else 'left out'}: a light classifier's macro-F1 on {len(trial.held):,} "
        f"validation rows went from {lacking:.4f} to {having:.4f} (mean of {trial.times} trials, {gain:+.4f} ± "
        f"{error:.4f})."
    )
    figures = {
        "features": features,
        "decided_by": _DECIDES,
        **means,
        "gain": gain,
        "gain_error": error,
        "gains": gains,
        "rows": len(trial.own),
        "validation_rows": len(trial.held),
    }
    return Verdict(keep, figures, told)


def _classifier(trial: Trial, cache: Path | None, listener: Listener) -> tuple[str, Classify, Sequence[Sample]]:
    """What the rows are told apart by, a classifier, and the rows that it can learn from in a short time."""
    from tunewright.data.judging import open_embedder
    from tunewright.data.meaning.head import fit_head

    try:
        embedder = open_embedder(cache, listener)
    except ModelError:
        few = len(trial.own) > _WORDS_ROWS
        return (
            "words",
            _by_words,
            _draw(trial.own, derive(trial.seed, "words"), _WORDS_ROWS / len(trial.own)) if few else trial.own,
        )

    def by_meaning(own: Sequence[Sample], held: Sequence[Sample], seed: int) -> list[str]:
        vectors = embedder.embed([sample.text for sample in own])
        head = fit_head(vectors, [sample.label for sample in own])
        return head.classify(embedder.embed([sample.text for sample in held]))

    return "meaning", by_meaning, trial.own


def _by_words(own: Sequence[Sample], held: Sequence[Sample], seed: int) -> list[str]:
    from tunewright.data.word_counts import WordCounts, fit_classifier

    counts = WordCounts([sample.text for sample in own])
    classify = fit_classifier(counts.features, [sample.label for sample in own], seed)
    return classify(counts.of([sample.text for sample in held]))


def _draw(samples: Sequence[Sample], seed: int, share: float = _SHARE) -> list[Sample]:
    """A share of the rows of each class, at least one, in their order."""
    random = np.random.default_rng(seed)
    rows: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        rows.setdefault(sample.label, []).append(place)
    drawn = [
        place
        for label in sorted(rows)
        for place in random.permutation(rows[label])[: max(1, round(share * len(rows[label])))].tolist()
    ]
    return [samples[place] for place in sorted(drawn)]


def _score(held: Sequence[Sample], given: Sequence[str]) -> _Scores:
    from sklearn.metrics import accuracy_score, f1_score

    labels = [sample.label for sample in held]
    asked = sorted(set(labels))
    return _Scores(
        float(f1_score(labels, given, labels=asked, average="macro", zero_division=0.0)),
        float(accuracy_score(labels, given)),
    )
