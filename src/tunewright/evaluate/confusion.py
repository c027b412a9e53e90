"""Which labels are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.metrics import Answer
from tunewright.metrics._records import Record, canonical, fields_of, parse_json, read_record, read_references

FEW_VALUES = 50
_OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of right labels (rows) against given ones (columns).

    Args:
        labels: All labels of the references, sorted; behind them `(other)` if an answer was none of them.
        counts: Shape (labels, labels): `counts[i][j]` rows are `labels[i]` and were answered with `labels[j]`.
    """

    labels: list[str]
    counts: list[list[int]]

    def as_json(self) -> dict[str, Any]:
        """`{labels, counts}`."""
        return {"labels": self.labels, "counts": self.counts}


def label_confusion(answers: Sequence[Answer]) -> Confusion:
    """The confusion of label answers."""
    return _confusion(
        [answer.reference.strip() for answer in answers], [answer.prediction.strip() for answer in answers]
    )


def tag_confusion(answers: Sequence[Answer]) -> Confusion:
    """The confusion of words' tags; a word without a given tag counts as another."""
    references, predictions = [], []
    for answer in answers:
        wanted, given = answer.reference.split(), answer.prediction.split()
        references += wanted
        predictions += [*given[: len(wanted)], *[_OTHER] * (len(wanted) - len(given))]
    return _confusion(references, predictions)


def field_confusions(answers: Sequence[Answer], not_covered: Sequence[str] = ()) -> dict[str, Confusion]:
    """The confusion of each field of JSON answers that has few values, by field.

    Few are at most 50, and at most half as many as there are rows: a field such as an order number has no confusion.
    """
    references = read_references(answers, where="confusion")
    predictions = [read_record(answer.prediction) for answer in answers]
    confusions = {}
    for field in fields_of(references):
        right = [_shown(reference, field) for reference in references]
        if field not in not_covered and has_few_values(right):
            confusions[field] = _confusion(right, [_shown(record, field) for record in predictions])
    return confusions


def has_few_values(values: Sequence[str]) -> bool:
    """Whether values are labels rather than free text: at most 50 distinct ones, each met twice on average."""
    distinct = len(set(values))
    return distinct <= FEW_VALUES and 2 * distinct <= len(values)


def _shown(record: Record | None, field: str) -> str:
    """A field's value as a person reads it; a text that looks like another kind of JSON value keeps its quotes."""
    if record is None:
        return _OTHER
    if field not in record:
        return "(absent)"
    value = record[field]
    return value if isinstance(value, str) and _is_plain(value) else canonical(value)


def _is_plain(text: str) -> bool:
    """Whether a text cannot be mistaken for a JSON value, nor for one of the names in brackets."""
    try:
        parse_json(text)
    except ValueError:
        return not text.startswith("(")
    return False


def _confusion(references: Sequence[str], predictions: Sequence[str]) -> Confusion:
    labels = sorted(set(references))
    known = set(labels)
    other = _OTHER
    while other in known:
        other = f"({other})"
    given = [prediction if prediction in known else other for prediction in predictions]
    if other in given:
        labels.append(other)
    number = {label: index for index, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for reference, prediction in zip(references, given, strict=True):
        counts[number[reference]][number[prediction]] += 1
    return Confusion(labels, counts)
