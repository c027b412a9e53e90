"""Success: the tuned model's values against the recipe's conditions."""

from __future__ import annotations

import pytest

from tunewright.base.errors import RecipeError
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.evaluate import Evaluation, evaluate
from tunewright.evaluate.success import Verdict, check_success
from tunewright.metrics import Answer


def _evaluation(system: str = "tuned") -> Evaluation:
    answers = (
        Answer("1", "a", "a"),
        Answer("2", "a", "a"),
        Answer("3", "a", "b"),
        Answer("4", "b", "b", stopped=False),
    )
    return evaluate({system: Answers(system, answers, 1.0)}, answer_kind="label", seed=0, samples=100)


@pytest.mark.parametrize(
    ("condition", "passed"),
    [(">= 0.75", True), ("> 0.75", False), ("<= .75", None), ("<0.8", True), ("== 0.75", True), ("<= -1", False)],
)
def test_conditions(condition: str, passed: bool | None) -> None:
    if passed is None:
        with pytest.raises(RecipeError, match=r"success\.accuracy: .*no condition"):
            check_success({"accuracy": condition}, _evaluation())
    else:
        assert check_success({"accuracy": condition}, _evaluation()) == [Verdict("accuracy", condition, 0.75, passed)]


def test_verdicts_keep_the_recipes_order_and_cut_answers_may_be_bounded() -> None:
    found = check_success({"macro_f1": ">= 0.99", "cut": "<= 0.3", "accuracy": ">= 0.5"}, _evaluation())
    assert [(verdict.metric, verdict.passed) for verdict in found] == [
        ("macro_f1", False),
        ("cut", True),
        ("accuracy", True),
    ]


def test_no_conditions_need_nothing() -> None:
    assert check_success({}, _evaluation("base")) == []


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(RecipeError, match=r"success\.acuracy: .*Did you mean 'accuracy'"):
        check_success({"acuracy": ">= 0.5"}, _evaluation())


def test_without_a_tuned_model_there_is_no_success() -> None:
    with pytest.raises(RecipeError, match="not evaluated"):
        check_success({"accuracy": ">= 0.5"}, _evaluation("base"))
