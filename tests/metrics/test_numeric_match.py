"""Numbers in answers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.contract import measure, value
from tunewright.base.errors import DataError
from tunewright.metrics import Answer
from tunewright.metrics.numeric_match import Number, last_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She pays $18 a day, so 18.", "18"),
        ("It is 1,234,567.50.", "2469135/2"),
        ("The total is 70,000.", "70000"),
        ("2+2 = 4\n#### 72", "72"),
        ("#### 1,200\nThat took 3 steps.", "1200"),
        ("first #### 3, no: #### 5 apples, 2 pears", "5"),
        ("from 10 to -3", "-3"),
        ("10-4", "4"),
        ("(-5)", "-5"),
        ("−5 °C", "-5"),
        ("-$5", "-5"),
        ("€ 12", "12"),
        ("about 1/2", "1/2"),
        ("1 1/2 cups", "3/2"),
        ("1½ cups", "3/2"),
        (r"\boxed{\frac{3}{4}}", "3/4"),
        ("1.5e3", "1500"),
        (".5", "1/2"),
        ("1'000", "1000"),
        ("1\u202f000 km", "1000"),
        ("1,00,000 rupees", "100000"),
        ("5km", "5"),
        ("1, 2, 3", "3"),
        ("1,5", "5"),
        ("7.", "7"),
        ("version2", None),
        ("1/0", None),
        ("no number", None),
        ("", None),
        ("####", None),
        ("1e9999", None),
        ("9" * 5000, None),
    ],
)
def test_the_last_number(text: str, number: str | None) -> None:
    found = last_number(text)
    assert (found and found.value) == (number and Fraction(number))


def test_decimal_commas_where_asked_for() -> None:
    assert last_number("1.234,5", ",") == Number(Fraction("1234.5"))


@settings(deadline=None, max_examples=40)
@given(st.integers(-(10**12), 10**12), st.sampled_from(["{}", "{:,}", "so {}.", "$ {}", "#### {:,}", "{} %"]))
def test_whole_numbers_are_read_back(number: int, form: str) -> None:
    found = last_number(form.format(number))
    assert found
    assert found.value == number


@settings(deadline=None, max_examples=40)
@given(st.text("0123456789.,/-%e# ½$x", max_size=14), st.sampled_from([".", ","]))
def test_any_text_is_read_or_has_no_number(text: str, decimal: str) -> None:
    found = last_number(text, decimal)
    assert found is None or isinstance(found.value, Fraction)


def _hit(reference: str, prediction: str, **settings: object) -> float:
    return value("numeric_match", [Answer("1", reference, prediction)], **settings)


def test_percent_by_its_sign_or_as_a_share() -> None:
    assert _hit("12%", "12 percent") == 1
    assert _hit("12", "12%") == 1
    assert _hit("0.12", "12%") == 1
    assert _hit("12%", "0.12") == 1
    assert _hit("12%", "0.12%") == 0
    assert _hit("12", "0.12") == 0


def test_tolerances() -> None:
    assert _hit("0.1", "0.10000001") == 0
    assert _hit("0.1", "0.10000001", tolerance=1e-6) == 1
    assert _hit("200", "201", relative_tolerance=0.005) == 1
    assert _hit("200", "201.1", relative_tolerance=0.005) == 0


def test_answers_without_a_number_are_wrong_and_references_without_one_are_named() -> None:
    answers = [Answer("1", "5", ""), Answer("2", "5", "five"), Answer("3", "5", "4", references=("4",))]
    assert list(measure("numeric_match", answers)["numeric_match"].values) == [0, 0, 1]
    with pytest.raises(DataError, match="without a number: row-9"):
        value("numeric_match", [Answer("row-9", "none", "5")])
