"""Comparisons of texts."""

from __future__ import annotations

import pytest

from tests.evaluate.graders.made import LOOK
from tunewright.evaluate.graders import Kit, grade, parse_grader


@pytest.mark.parametrize(
    ("operation", "reference", "right"),
    [
        ("eq", "It is in Paris", True),
        ("eq", "it is in paris", False),
        ("ne", "It is in Paris", False),
        ("ne", "Paris", True),
        ("like", "{{item.answers[1]}}", True),
        ("like", "paris", False),
        ("ilike", "PARIS", True),
        ("ilike", "Rome", False),
    ],
)
def test_each_operation(operation: str, reference: str, right: bool) -> None:
    raw = {"type": "string_check", "name": "x", "operation": operation, "input": "{{sample.output_text}}"}
    graded = grade(parse_grader({**raw, "reference": reference}), LOOK, Kit())
    assert (graded.score, graded.passed) == (float(right), right)
