"""Mean of the labels' F1 scores: rare labels count as much as frequent ones.

The labels are those of the references. An answer that is none of them is a miss for the right label and opens no
class of its own: else a model that chats freely would be averaged over its own inventions. The F1 of a label without a
true positive is 0 (scikit-learn's `zero_division=0`). A resample is averaged over the labels that occur in it, as
reference or as answer. On the whole set this equals
`sklearn.metrics.f1_score(average="macro", labels=<reference labels>, zero_division=0)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._answer import Answer, Floats, Ints, Measure, require_answers


class Config(PluginConfig):
    """The macro-averaged F1 has no settings."""

    name: Literal["macro_f1"] = "macro_f1"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the label is right, else 0; reduced to the macro-averaged F1."""
    require_answers(config.name, answers)
    labels = sorted({answer.reference.strip() for answer in answers})
    number = {label: index for index, label in enumerate(labels)}
    reference = np.array([number[answer.reference.strip()] for answer in answers])
    # Whatever is no label shares one number behind the labels, which is never averaged over.
    prediction = np.array([number.get(answer.prediction.strip(), len(labels)) for answer in answers])

    def reduce(rows: Ints) -> Floats:
        return _macro_f1(reference[rows], prediction[rows], len(labels))

    return [Measure(config.name, (reference == prediction).astype(np.float64), reduce)]


def _macro_f1(reference: Ints, prediction: Ints, labels: int) -> Floats:
    """Macro-averaged F1 along the last axis, from counts alone: shape (..., m) becomes shape (...)."""
    shape = reference.shape[:-1]
    samples = int(np.prod(shape))
    # Each resample gets its own range of numbers, so that one bincount counts the labels of all of them.
    first = np.arange(samples)[:, None] * (labels + 1)
    reference, prediction = (first + array.reshape(samples, -1) for array in (reference, prediction))

    def count(numbers: Ints) -> Ints:
        return np.bincount(numbers.ravel(), minlength=samples * (labels + 1)).reshape(samples, -1)[:, :labels]

    met = count(reference) + count(prediction)
    f1 = 2 * count(reference[reference == prediction]) / np.maximum(met, 1)
    means: Floats = np.asarray(f1.sum(axis=1) / (met > 0).sum(axis=1))
    return means.reshape(shape)
