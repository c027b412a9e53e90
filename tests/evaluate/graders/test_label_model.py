"""Models that give labels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.evaluate.graders.made import LOOK, Judge
from tunewright.evaluate.graders import GradingError, grade, parse_grader

RAW: dict[str, Any] = {
    "type": "label_model",
    "name": "kind",
    "model": "judge",
    "labels": ["right", "near", "wrong"],
    "passing_labels": ["right", "near"],
    "input": [{"role": "user", "content": "{{item.question}} {{sample.output_text}}"}],
}


@pytest.mark.parametrize(("label", "passed"), [("right", True), ("near", True), ("wrong", False)])
def test_a_label_passes_or_not(label: str, passed: bool) -> None:
    judge = Judge(f'{{"label": "{label}"}}')
    graded = grade(parse_grader(RAW), LOOK, judge.kit)
    assert (graded.score, graded.passed) == (float(passed), passed)
    assert graded.said is not None
    assert graded.said["label"] == label
    assert judge.asked[0]["messages"][0]["content"] == "Where? It is in Paris"
    schema = judge.asked[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["right", "near", "wrong"]


@pytest.mark.parametrize("text", ['{"label": "odd"}', '{"label": ["right"]}', "right", "{}"])
def test_other_labels_are_errors(text: str) -> None:
    with pytest.raises(GradingError) as caught:
        grade(parse_grader(RAW), LOOK, Judge(text).kit)
    assert caught.value.kind == "model_grader_parse_error"
