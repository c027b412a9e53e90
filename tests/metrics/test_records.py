"""Strict JSON, and equality as JSON means it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError
from tunewright.metrics import Answer
from tunewright.metrics._records import canonical, equal, fields_of, parse_json, read_record, read_references

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "NaN", '{"a": Infinity}', '{"a": 1, "a": 2}', "{'a': 1}", '{"a": 1', '{"a": 1} so', "[" * 200_000,
     '"\\ud800"', "9" * 5000],
)  # fmt: skip
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has a message of its own
        parse_json(text)
    assert read_record(text) is None


def test_only_objects_are_records() -> None:
    assert read_record('[{"a": 1}]') is None
    assert read_record(' {"a": "\\u00e9"}\n') == {"a": "é"}


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": None}, {}, False),
        ({"a": "1"}, {"a": 1}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        (None, {}, False),
    ],
)
def test_equality(left: object, right: object, same: bool) -> None:
    assert equal(left, right) is same
    assert equal(right, left) is same


@settings(deadline=None, max_examples=60)
@given(JSON)
def test_a_value_equals_itself_read_back(value: object) -> None:
    assert equal(parse_json(canonical(value)), value)
    assert equal(parse_json(json.dumps(value)), value)


def test_references_that_are_no_objects_are_named() -> None:
    answers = [Answer("r1", "{}", ""), Answer("r2", "[]", ""), Answer("r3", "words", "")]
    with pytest.raises(DataError, match=r"metric: .*r2, r3"):
        read_references(answers, where="metric")


def test_fields_come_in_the_order_they_are_met() -> None:
    assert fields_of([{"b": 1, "a": 1}, {"c": 1, "a": 1}]) == ["b", "a", "c"]
