"""What holds for every grader: its file is its type, it reads what the API is told, and says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.evaluate.graders.made import LOOK, Judge
from tunewright.base.errors import InputError, ModelError
from tunewright.evaluate.graders import GRADERS, GraderConfig, GradingError, Kit, check_allowed, grade, parse_grader

TEXTS = {"input": "{{sample.output_text}}", "reference": "{{item.answers[0]}}"}
ASKS = {"model": "judge", "input": [{"role": "user", "content": "Is {{sample.output_text}} right?"}]}
CHECK = {"type": "string_check", "name": "holds", "operation": "like", **TEXTS}
EVERY: dict[str, dict[str, Any]] = {
    "string_check": CHECK,
    "text_similarity": {"type": "text_similarity", "name": "near", "evaluation_metric": "rouge_1", **TEXTS},
    "score_model": {"type": "score_model", "name": "good", "range": [0, 2], **ASKS},
    "label_model": {"type": "label_model", "name": "kind", "labels": ["yes", "no"], "passing_labels": ["yes"], **ASKS},
    "python": {"type": "python", "name": "own", "source": "def grade(sample, item):\n    return 0.25\n"},
    "multi": {"type": "multi", "name": "all", "graders": {"holds": CHECK}, "calculate_output": "holds / 2"},
}


def test_there_is_an_example_of_each() -> None:
    assert EVERY.keys() == {*GRADERS.names()}


@pytest.mark.parametrize("kind", EVERY)
def test_a_grader_is_read_told_and_read_again(kind: str) -> None:
    config = parse_grader(EVERY[kind] | {"what_openai_adds_next_week": 1})
    assert isinstance(config, GraderConfig)
    assert (config.plugin, config.name) == (kind, EVERY[kind]["name"])
    told = config.as_json()
    assert told.items() >= {name: value for name, value in EVERY[kind].items() if not isinstance(value, list)}.items()
    assert parse_grader(told) == config
    assert GRADERS.config(kind).model_config["frozen"] is True


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("string_check", "grader: A grader is an object"),
        ({"name": "x"}, "grader.type: There is no 'type'"),
        ({"type": "string_chek"}, "Did you mean 'string_check'"),
        ({"type": ["python"]}, "There is no grader of type"),
        (CHECK | {"name": ""}, "grader.name: "),
        (CHECK | {"operation": "is"}, "grader.operation: "),
        ({"type": "string_check", "name": "x"}, "3 fields are wrong"),
        (CHECK | {"input": "{{answer}}"}, "asks for '{{answer}}', which is of neither the row nor the answer"),
        (EVERY["score_model"] | {"range": [1, 1]}, "the second number must be the larger one"),
        (EVERY["score_model"] | {"range": [0, float("inf")]}, "range"),
        (EVERY["score_model"] | {"input": []}, "input"),
        (EVERY["label_model"] | {"passing_labels": ["maybe"]}, "'maybe', which is not among labels"),
        (EVERY["python"] | {"source": "def grade(:"}, "source is no Python program"),
        (EVERY["multi"] | {"calculate_output": "holds + polite"}, "asks for 'polite', which is no grader here"),
        (EVERY["multi"] | {"calculate_output": "__import__('os')"}, "cannot stand in a formula"),
        (EVERY["multi"] | {"graders": {"a b": CHECK}}, "cannot be asked for in a formula"),
        (EVERY["multi"] | {"graders": {"inner": EVERY["multi"]}}, "is a multi grader itself"),
        (EVERY["multi"] | {"graders": {"holds": {"type": "x"}}}, "graders.holds.type: There is no grader of type 'x'"),
    ],
)
def test_wrong_graders_are_refused_with_their_place(raw: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_grader(raw)
    assert said in str(caught.value)


def test_an_image_is_refused_and_texts_of_parts_are_joined() -> None:
    image = {"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}
    with pytest.raises(InputError, match="models of this server read text alone"):
        parse_grader(EVERY["score_model"] | {"input": [image]})
    parts = [{"type": "input_text", "text": "a"}, "b", {"type": "output_text", "text": "c"}]
    config = parse_grader(EVERY["score_model"] | {"input": [{"role": "critic", "content": parts}]})
    assert config.as_json()["input"] == [{"role": "user", "content": "a\nb\nc"}]


def test_code_is_run_only_where_that_is_allowed() -> None:
    for raw in (EVERY["python"], EVERY["multi"] | {"graders": {"holds": EVERY["python"]}}):
        config = parse_grader(raw)
        with pytest.raises(InputError, match="turned off"):
            check_allowed(config, runs_python=False)
        check_allowed(config, runs_python=True)
        with pytest.raises(GradingError, match="turned off") as caught:
            grade(config, LOOK, Kit())
        assert caught.value.kind == "python_grader_server_error"
    check_allowed(parse_grader(CHECK), runs_python=False)


def test_each_grader_tells_whom_it_asks() -> None:
    assert parse_grader(EVERY["score_model"]).judges() == ("judge",)
    assert parse_grader(EVERY["multi"] | {"graders": {"holds": EVERY["label_model"]}}).judges() == ("judge",)
    assert parse_grader(CHECK).judges() == ()


def test_what_breaks_in_the_kit_is_an_error_of_the_grading() -> None:
    def embed(texts: object) -> Any:
        raise ModelError("The text encoder is not on this machine", hint="Fetch it.")

    config = parse_grader(EVERY["text_similarity"] | {"evaluation_metric": "cosine"})
    with pytest.raises(GradingError, match=r"not on this machine. Fetch it.") as caught:
        grade(config, LOOK, Kit(embed=embed))
    assert caught.value.kind == "other_error"
    with pytest.raises(GradingError, match="no text encoder"):
        grade(config, LOOK, Kit())


def test_a_score_that_is_no_number_is_an_error() -> None:
    judge = Judge('{"result": NaN}')
    with pytest.raises(GradingError, match="is no number"):
        grade(parse_grader(EVERY["score_model"]), LOOK, judge.kit)
