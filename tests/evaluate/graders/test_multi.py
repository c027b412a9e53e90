"""Joint scores, and the formulas that join them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate.graders.made import LOOK, Judge
from tunewright.evaluate.graders import GradingError, Kit, Spent, grade, parse_grader
from tunewright.evaluate.graders._formula import parse_formula

HOLDS = {
    "type": "string_check",
    "name": "h",
    "operation": "like",
    "input": "{{sample.output_text}}",
    "reference": "Paris",
}
NEAR = {
    "type": "text_similarity",
    "name": "n",
    "evaluation_metric": "rouge_1",
    "input": "in Paris",
    "reference": "to Paris",
}
GOOD = {
    "type": "score_model",
    "name": "g",
    "model": "judge",
    "range": [0, 10],
    "input": [{"role": "user", "content": "?"}],
}


def joint(formula: str, **graders: Any) -> dict[str, Any]:
    return {"type": "multi", "name": "all", "calculate_output": formula, "graders": graders}


def test_scores_are_joined_by_the_formula() -> None:
    config = parse_grader(joint("0.5*right + 0.2*near + good/10 - 0.1", right=HOLDS, near=NEAR, good=GOOD))
    graded = grade(config, LOOK, Judge('{"result": 5}').kit)
    assert graded.score == pytest.approx(0.5 + 0.2 * 0.5 + 0.5 - 0.1)
    assert graded.parts == {"right": 1.0, "near": 0.5, "good": 5.0}
    assert graded.passed
    assert graded.spent == (Spent("judge", 7, 2, 5),)
    assert graded.said is not None
    assert graded.said.keys() == {"good"}


def test_one_grader_alone_is_asked_for_by_its_name() -> None:
    raw = joint("1 - h") | {"graders": HOLDS}
    graded = grade(parse_grader(raw), LOOK, Kit())
    assert (graded.score, graded.passed, graded.parts) == (0.0, False, {"h": 1.0})
    assert parse_grader(raw).as_json() == raw


@pytest.mark.parametrize("formula", ["1 / (h - 1)", "log(h - 1)", "sqrt(0 - h)", "exp(h * 1000)", "(0 - h) ^ 0.5"])
def test_a_formula_without_a_value_is_an_error(formula: str) -> None:
    with pytest.raises(GradingError, match="has no value where h = 1") as caught:
        grade(parse_grader(joint(formula, h=HOLDS)), LOOK, Kit())
    assert caught.value.kind == "other_error"


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2*a^2", 18.0),
        ("a**b", 9.0),
        ("-a^2", -9.0),
        ("7 % a", 1.0),
        ("min(a, b, 1)", 1.0),
        ("max(a)", 3.0),
        ("floor(a/b) + ceil(a/b)", 3.0),
        ("abs(b - a) * sqrt(4) + log(exp(a))", 5.0),
        (" +a - -b ", 5.0),
        ("1e-1", 0.1),
    ],
)
def test_formulas_by_hand(formula: str, value: float) -> None:
    assert parse_formula(formula).value({"a": 3.0, "b": 2.0}) == pytest.approx(value)


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "a b",
        "a = 1",
        "a.real",
        "a[0]",
        "'a'",
        "True",
        "1j",
        "a if b else 1",
        "a and b",
        "a < b",
        "~a",
        "a // b",
        "lambda: 1",
        "[a]",
        "open('x')",
        "min()",
        "sqrt(a, b)",
        "max(*a)",
        "min(a, key=b)",
        "(" * 90 + "a" + ")" * 90 + "," + "b",
        "-" * 60 + "a",
        "(" * 900 + "a",
        "1+" * 1000 + "1",
        "a\0",
        "(yield a)",
        "f'{a}'",
    ],
)
def test_anything_but_arithmetic_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"formula|takes"):
        parse_formula(formula)


expressions = st.recursive(
    st.sampled_from(["a", "b"]) | st.integers(0, 9).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda each: f"-{each}"),
        st.tuples(inner, inner).map(lambda pair: f"min({pair[0]}, {pair[1]})"),
    ),
    max_leaves=12,
)


@given(expressions, st.floats(-5, 5), st.floats(-5, 5))
def test_a_formula_is_what_python_makes_of_it(text: str, a: float, b: float) -> None:
    formula = parse_formula(text)
    assert formula.names == {name for name in "ab" if name in text}
    try:
        expected = float(eval(text, {"__builtins__": {}, "min": min}, {"a": a, "b": b}))
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            formula.value({"a": a, "b": b})
        return
    assert formula.value({"a": a, "b": b}) == expected or math.isnan(expected)


@given(st.text("ab+-*/%^(),.0123 \n_[]{}'\"=:", max_size=60))
def test_any_text_is_a_formula_or_is_refused(text: str) -> None:
    try:
        formula = parse_formula(text)
    except ValueError:
        return
    assert all(name.isidentifier() and name in text for name in formula.names)
