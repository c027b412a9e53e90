"""JSON out of what a model says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.synthesis.answers import objects_in

A, B = {"question": "a [1]?", "answer": "x {y}"}, {"question": "b", "answer": "z"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps([A, B]), [A, B]),
        (f"Here you are:\n```json\n{json.dumps([A, B], indent=2)}\n```\nDone [really].", [A, B]),
        (json.dumps({"pairs": [A, B]}), [A, B]),
        (json.dumps(A), [A]),
        (f"{json.dumps(A)}\n{json.dumps(B)}", [A]),
        (f"<think>maybe {json.dumps([B])}</think>{json.dumps([A])}", [A]),
        (f"[{json.dumps(A)}, {json.dumps(B)}, {{'cut", [A, B]),
        (f"I [think] so: {json.dumps([A])}", [A]),
        ("no", []),
        ("[1, 2]", []),
        ("", []),
        ("[" * 100_000, []),
    ],
    ids=range(12),
)
def test_objects_are_found_between_other_words(text: str, expected: list[dict[str, Any]]) -> None:
    assert objects_in(text) == expected


@given(st.text(alphabet='[]{}",:a1 \\n', max_size=60))
def test_nothing_makes_it_fail(text: str) -> None:
    assert all(isinstance(found, dict) for found in objects_in(text))
