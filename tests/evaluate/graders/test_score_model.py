"""Models that score: what they are asked, and what of their answers counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.evaluate.graders.made import LOOK, Judge
from tunewright.base.errors import ModelError
from tunewright.evaluate.graders import GradingError, Kit, Spent, grade, parse_grader

RAW: dict[str, Any] = {
    "type": "score_model",
    "name": "good",
    "model": "judge",
    "range": [1, 5],
    "input": [{"role": "developer", "content": "Score."}, {"role": "user", "content": "{{sample.output_text}}"}],
}


def test_a_score_is_taken_and_told() -> None:
    judge = Judge('{"result": 4}')
    graded = grade(parse_grader(RAW), LOOK, judge.kit)
    assert (graded.score, graded.passed) == (4.0, True)
    assert graded.spent == (Spent("judge", 7, 2, 5),)
    asked = [{"role": "developer", "content": "Score."}, {"role": "user", "content": "It is in Paris"}]
    assert graded.said is not None
    assert graded.said["input"] == asked
    body = judge.asked[0]
    assert (body["model"], body["messages"], body["temperature"]) == ("judge", asked, 0.0)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"result": {"type": "number", "minimum": 1.0, "maximum": 5.0}}


def test_sampling_parameters_are_passed_on() -> None:
    judge = Judge('{"result": 4}')
    params = {"temperature": 0.5, "top_p": 0.9, "seed": 3, "max_completions_tokens": 9}
    grade(parse_grader({**RAW, "sampling_params": params}), LOOK, judge.kit)
    body = judge.asked[0]
    assert [body[name] for name in ("temperature", "top_p", "seed", "max_completion_tokens")] == [0.5, 0.9, 3, 9]


@pytest.mark.parametrize(("score", "threshold", "passed"), [(3, None, True), (2.9, None, False), (4, 4.5, False)])
def test_it_passes_from_the_threshold_or_the_middle_on(score: float, threshold: float | None, passed: bool) -> None:
    config = parse_grader({**RAW, "pass_threshold": threshold})
    assert grade(config, LOOK, Judge(f'{{"result": {score}}}').kit).passed is passed


@pytest.mark.parametrize(
    "text",
    [
        "four",
        '{"result": 4',
        "4",
        "[4]",
        '{"score": 4}',
        '{"result": "4"}',
        '{"result": true}',
        '{"result": 6}',
        "[" * 100_000,
    ],
)
def test_what_is_no_score_is_an_error(text: str) -> None:
    with pytest.raises(GradingError) as caught:
        grade(parse_grader(RAW), LOOK, Judge(text).kit)
    assert caught.value.kind == "model_grader_parse_error"


def test_refusals_cuts_and_broken_models_are_told_apart() -> None:
    refused = Judge("", message={"content": None, "refusal": "I will not."})
    with pytest.raises(GradingError, match=r"refused: I will not\.") as caught:
        grade(parse_grader(RAW), LOOK, refused.kit)
    assert caught.value.kind == "model_grader_refusal_error"
    with pytest.raises(GradingError, match="cut at the limit"):
        grade(parse_grader(RAW), LOOK, Judge('{"res', finish_reason="length").kit)

    def broken(_: object) -> Any:
        raise ModelError("The model is gone")

    for kit in (Kit(ask=broken), Kit()):
        with pytest.raises(GradingError) as caught:
            grade(parse_grader(RAW), LOOK, kit)
        assert caught.value.kind == "model_grader_server_error"


def test_a_missing_field_is_no_fault_of_the_judge() -> None:
    judge = Judge('{"result": 4}')
    config = parse_grader({**RAW, "input": [{"role": "user", "content": "{{item.gone}}"}]})
    with pytest.raises(GradingError) as caught:
        grade(config, LOOK, judge.kit)
    assert caught.value.kind == "invalid_variable_error"
    assert judge.asked == []
