"""For each field of the reference records, the share of answers that have its value right.

An answer that is no JSON object has every field wrong. Where a reference lacks a field that others have, an answer is
right if it lacks the field too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._answer import Answer, Measure, require_answers, share
from tunewright.metrics._records import Record, equal, fields_of, read_record, read_references

_ABSENT = object()


class Config(PluginConfig):
    """Field accuracy has no settings."""

    name: Literal["field_accuracy"] = "field_accuracy"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """One measure per field, named `<field>_accuracy`: 1 where the value is right, else 0; reduced to the mean.

    Raises:
        DataError: If a reference is no JSON object.
    """
    require_answers(config.name, answers)
    references = read_references(answers, where=config.name)
    pairs = list(zip([read_record(answer.prediction) for answer in answers], references, strict=True))
    return [
        share(f"{field}_accuracy", [_is_right(record, reference, field) for record, reference in pairs])
        for field in fields_of(references)
    ]


def _is_right(record: Record | None, reference: Record, field: str) -> bool:
    return record is not None and equal(record.get(field, _ABSENT), reference.get(field, _ABSENT))
