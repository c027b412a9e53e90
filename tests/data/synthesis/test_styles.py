"""Rows in the style of given ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tunewright.base.errors import DataError
from tunewright.data.synthesis.making import Draft
from tunewright.data.synthesis.styles import Example, Likenesses, style_of

ROWS: list[dict[str, Any]] = [
    {
        "text": f"message number {number} about something",
        "label": "card" if number % 2 else "parcel",
        "stars": number % 3,
        "note": None if number % 4 else f"note {number}",
        "answer": json.dumps({"intent": "x", "order": str(number)}),
    }
    for number in range(12)
]
EXAMPLES = [Example(row, f"a.csv:{number + 2}") for number, row in enumerate(ROWS)]
NEW = {"text": "another one", "label": "card", "stars": 2, "note": None, "answer": '{"order": "9", "intent": "y"}'}


def test_what_rows_have_in_common_is_found() -> None:
    style = style_of(EXAMPLES)
    assert style.kinds == {"text": str, "label": str, "stars": int, "note": str, "answer": str}
    assert style.optional == {"note"}
    assert style.labels == {"label": ("card", "parcel"), "stars": (0, 1, 2)}
    assert style.keys == {"answer": {"intent", "order"}}
    assert style.text(NEW) == 'another one\n\n{"order": "9", "intent": "y"}'
    with pytest.raises(DataError, match=r"a.csv:9: The field 'text' holds values of several types"):
        style_of([*EXAMPLES, Example({"text": 3}, "a.csv:9")])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"note": "something"}, ""),
        ({"text": ""}, "incomplete"),
        ({"text": None}, "incomplete"),
        ({"extra": 1}, "incomplete"),
        ({"text": 7}, "wrong_form"),
        ({"stars": True}, "wrong_form"),
        ({"stars": 7}, "unknown_label"),
        ({"label": "Card"}, "unknown_label"),
        ({"answer": "{}"}, "wrong_form"),
        ({"answer": "plain"}, "wrong_form"),
    ],
)
def test_a_row_of_another_style_is_not_taken(change: dict[str, Any], fault: str) -> None:
    style = style_of(EXAMPLES)
    expected = "wrong_form" if change == {"text": None} else fault
    assert style.fault({**NEW, **change}) == expected
    assert style.fault({name: value for name, value in NEW.items() if name != "note"}) == ""
    assert style.fault({name: value for name, value in NEW.items() if name != "label"}) == "incomplete"


def test_every_label_is_shown_and_told() -> None:
    maker = Likenesses(EXAMPLES, rows=10, model="m", seed=1)
    asked = list(maker.requests())
    assert len(asked) == 10  # four times ten rows by five, and two
    assert asked == list(Likenesses(EXAMPLES, rows=10, model="m", seed=1).requests())
    assert len({request.seed for request, _ in asked}) == 10
    request, shown = asked[0]
    assert '\'label\' is one of ["card", "parcel"]' in request.messages[0]["content"]
    assert [json.loads(line) for line in request.messages[1]["content"].splitlines()] == [e.fields for e in shown]
    assert {example.fields["stars"] for example in shown} == {0, 1, 2}  # the field with most labels


def test_rows_say_who_made_them_and_after_what() -> None:
    maker = Likenesses(EXAMPLES, rows=1, model="m")
    (draft,) = maker.read(json.dumps([NEW]), EXAMPLES[:2])
    assert isinstance(draft, Draft)
    assert draft.row == {**NEW, "source": "synthesized by m", "in_the_style_of": ["a.csv:2", "a.csv:3"]}
    own = [Example({"source": "mail", "text": f"t {number}"}, "f") for number in range(3)]
    (draft,) = Likenesses(own, rows=1, model="m").read('[{"source": "mail", "text": "new"}]', own)
    assert isinstance(draft, Draft)
    assert (draft.row["source"], draft.row["synthesis_source"]) == ("mail", "synthesized by m")
    with pytest.raises(DataError, match="no row to take as an example"):
        Likenesses([], rows=1, model="m")


def test_conversations_become_conversations_again() -> None:
    examples = [Example({"user": f"question {n}", "assistant": "ab"[n % 2]}, "f") for n in range(8)]
    maker = Likenesses(examples, rows=1, model="m", system="Sort.", as_chat=True)
    (draft,) = maker.read('{"user": "a new one", "assistant": "b"}', examples[:1])
    assert isinstance(draft, Draft)
    assert draft.row["messages"] == [
        {"role": "system", "content": "Sort."},
        {"role": "user", "content": "a new one"},
        {"role": "assistant", "content": "b"},
    ]
    assert draft.text == "a new one"
    assert maker.read('{"user": "a new one", "assistant": "c"}', examples) == ["unknown_label"]
