"""For each field of the reference records, the share of answers that have its value right.

An answer that is no JSON object has every field wrong. Where a reference lacks a field that others have, an answer is
right if it lacks the field too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure
from tunewright.metrics._pieces import Observed
from tunewright.metrics._records import equal, fields_of, read_record, read_references

ABOUT = {"*_accuracy": About("* right", "the field “*” of the answer equals the expected one")}

_READABLE = ""  # the array of answers that are records; no other array is called so, as fields' have a mark in front
_FIELD = "."
# What is known of a field in one row. Nothing, where neither reference nor answer has it: that is right as well.
_RIGHT, _WRONG, _INVENTED = 1, 2, 3


class Config(PluginConfig):
    """Field accuracy has no settings."""

    name: Literal["field_accuracy"] = "field_accuracy"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """One measure per field, named `<field>_accuracy`: 1 where the value is right, else 0; reduced to the mean.

    Raises:
        DataError: If a reference is no JSON object.
    """
    return measures(config, observe(config, answers))


def observe(config: Config, answers: Sequence[Answer]) -> Observed:
    """For each field of a reference or an answer a byte per row: right, wrong, or there without being asked for.

    Raises:
        DataError: If a reference is no JSON object.
    """
    require_answers(config.name, answers)
    references = read_references(answers, where=config.name)
    records = [read_record(answer.prediction) for answer in answers]
    given = [record for record in records if record is not None]
    arrays = {_READABLE: np.array([record is not None for record in records])}
    arrays |= {_FIELD + field: np.zeros(len(answers), np.int8) for field in [*fields_of(references), *fields_of(given)]}
    for row, (record, reference) in enumerate(zip(records, references, strict=True)):
        said = record or {}
        for field, value in reference.items():
            hit = field in said and equal(said[field], value)
            arrays[_FIELD + field][row] = _RIGHT if hit else _WRONG
        for field in said.keys() - reference.keys():
            arrays[_FIELD + field][row] = _INVENTED
    return Observed(len(answers), arrays)


def measures(config: Config, observed: Observed) -> list[Measure]:
    """A measure for each field that a reference has."""
    readable = observed.arrays[_READABLE]
    return [
        Measure(
            f"{name.removeprefix(_FIELD)}_accuracy",
            ((known == _RIGHT) | ((known == 0) & readable)).astype(np.float64),
        )
        for name, known in observed.arrays.items()
        if name != _READABLE and ((known == _RIGHT) | (known == _WRONG)).any()
    ]
