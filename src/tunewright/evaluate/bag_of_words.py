"""The honest cheap baseline: counts of words and letter groups, and a logistic regression. It learns in seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.data.example import Example
from tunewright.data.word_counts import WordCounts, fit_classifier
from tunewright.evaluate.answer import Answers, asked_of
from tunewright.evaluate.confusion import has_few_values
from tunewright.evaluate.word_tags import tag_words
from tunewright.metrics import Answer
from tunewright.metrics._records import canonical, fields_of, read_references

SYSTEM = "bag_of_words"

_LABEL = "label"
_ABSENT = ""  # stands for a missing field among values written as JSON, which are never empty


def bag_of_words(
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    answer_kind: Literal["label", "tags", "json"],
    seed: int,
    listener: events.Listener = events.ignore,
) -> Answers:
    """Learns from the users' messages of `train`, and answers those of `test`.

    Labels are predicted as they are, and tags word by word (`word_tags`). Of JSON answers it predicts each field with
    few distinct values in `train` (at most 50, each met twice on average); the others are named in `not_covered`, and
    it is not measured on them.

    Args:
        train: Examples to learn from.
        test: Examples to answer.
        answer_kind: `label`, `tags` or `json`; free text cannot be predicted by a classifier.
        seed: The run's seed.
        listener: Hears a stage "bag_of_words", counted in classifiers.

    Raises:
        InputError: If the answers are free text, or there is nothing to learn from or to answer.
        DataError: If answers are to be JSON and are not.
    """
    if answer_kind not in ("label", "tags", "json"):
        raise InputError(
            f"A bag-of-words classifier cannot give answers of kind '{answer_kind}'",
            where="evaluate.systems",
            hint="Leave bag_of_words out of evaluate.systems.",
        )
    if not train or not test:
        raise InputError(f"There are {len(train)} rows to learn from, and {len(test)} to answer", where=SYSTEM)
    started = time.perf_counter()
    if answer_kind == "tags":
        answers = tag_words(train, test, seed=derive(seed, SYSTEM))
        return Answers(SYSTEM, _paired(test, answers), seconds=time.perf_counter() - started)
    columns, not_covered = _columns(train, test, answer_kind)
    predicted = _learn_and_predict(train, test, columns, seed, listener) if columns else {}
    if answer_kind == "label":
        answers = predicted[_LABEL]
    else:
        answers = [_record({field: values[row] for field, values in predicted.items()}) for row in range(len(test))]
    return Answers(
        SYSTEM,
        _paired(test, answers),
        seconds=time.perf_counter() - started,
        not_covered=not_covered,
    )


def _paired(test: Sequence[Example], answers: Sequence[str]) -> tuple[Answer, ...]:
    return tuple(
        Answer(example.id, example.answer, answer, **asked_of(example))
        for example, answer in zip(test, answers, strict=True)
    )


def _columns(
    train: Sequence[Example], test: Sequence[Example], answer_kind: str
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """What to predict: each column's values over the training rows; and the fields that no classifier can give."""
    if answer_kind == "label":
        return {_LABEL: [example.answer.strip() for example in train]}, ()
    learned, asked = (
        read_references([Answer(example.id, example.answer, "") for example in examples], where=SYSTEM)
        for examples in (train, test)
    )
    columns = {
        field: [canonical(record[field]) if field in record else _ABSENT for record in learned]
        for field in fields_of(learned)
    }
    covered = {field: values for field, values in columns.items() if has_few_values(values)}
    return covered, tuple(field for field in fields_of([*asked, *learned]) if field not in covered)


def _record(values: Mapping[str, str]) -> str:
    return json.dumps(
        {field: json.loads(value) for field, value in values.items() if value != _ABSENT}, ensure_ascii=False
    )


def _learn_and_predict(
    train: Sequence[Example],
    test: Sequence[Example],
    columns: Mapping[str, list[str]],
    seed: int,
    listener: events.Listener,
) -> dict[str, list[str]]:
    """One classifier for each column, over the same features. Returns each column's values over the test rows."""
    train_features, test_features = _features([_question(e) for e in train], [_question(e) for e in test])
    predicted = {}
    for done, (name, values) in enumerate(columns.items()):
        listener(events.Stage(SYSTEM, "progress", done, len(columns), "classifiers", note=name))
        predicted[name] = fit_classifier(train_features, values, derive(seed, SYSTEM, name))(test_features)
    listener(events.Stage(SYSTEM, "progress", len(columns), len(columns), "classifiers"))
    return predicted


def _question(example: Example) -> str:
    """What the user wrote."""
    return "\n".join(message.content for message in example.prompt if message.role == "user")


def _features(train: list[str], test: list[str]) -> tuple[Any, Any]:
    """Sparse weights of words, pairs of words, and groups of two to five letters: shapes (rows, terms)."""
    if not any(text.strip() for text in train):
        raise InputError(
            "The users' messages are empty: there is nothing to learn from",
            where=SYSTEM,
            hint="Leave bag_of_words out of evaluate.systems.",
        )
    counts = WordCounts(train)
    return counts.features, counts.of(test)
