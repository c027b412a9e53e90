"""The cheap baseline for tagged words: each word by itself and its neighbours, and a logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tunewright.data.example import Example

_NEIGHBOURS = 2
_LETTERS = 3  # of a word's beginning and end
_PASSES = 30
_INVERSE_REGULARISATION = 10.0


def tag_words(train: Sequence[Example], test: Sequence[Example], *, seed: int) -> list[str]:
    """Learns the tags of the words of `train`; gives those of `test`, one text an example."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    tags = [tag for example in train for tag in example.answer.split()]
    asked = [_words(example) for example in test]
    if len(set(tags)) == 1:
        return [" ".join(tags[:1] * len(words)) for words in asked]
    features = DictVectorizer()
    learned = _narrow(features.fit_transform(told for example in train for told in _told(_words(example))))
    model = LogisticRegression(
        solver="saga", C=_INVERSE_REGULARISATION, max_iter=_PASSES, tol=1e-3, random_state=seed % 2**32
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the passes are bounded on purpose
        model.fit(learned, tags)
    given = iter(model.predict(_narrow(features.transform(told for words in asked for told in _told(words)))))
    return [" ".join(str(next(given)) for _ in words) for words in asked]


def _narrow(matrix: Any) -> Any:
    """A sparse matrix with 32-bit indices, which are all that the regression takes."""
    matrix.indices, matrix.indptr = (array.astype(np.int32) for array in (matrix.indices, matrix.indptr))
    return matrix


def _words(example: Example) -> list[str]:
    return [word for message in example.prompt if message.role == "user" for word in message.content.split()]


def _told(words: Sequence[str]) -> Iterator[dict[str, str | bool]]:
    """What the regression is told of each word: itself, how it begins and ends, its case, and its neighbours."""
    for place, word in enumerate(words):
        told: dict[str, str | bool] = {
            "word": word.lower(),
            "begins": word[:_LETTERS].lower(),
            "ends": word[-_LETTERS:].lower(),
            "capital": word[:1].isupper(),
            "capitals": word.isupper(),
            "digits": any(letter.isdigit() for letter in word),
            "first": place == 0,
        }
        for distance in (*range(-_NEIGHBOURS, 0), *range(1, _NEIGHBOURS + 1)):
            if 0 <= place + distance < len(words):
                told[f"word {distance:+}"] = words[place + distance].lower()
        yield told
