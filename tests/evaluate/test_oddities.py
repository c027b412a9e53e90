"""Odd answers are counted as what they are."""

from __future__ import annotations

from tunewright.evaluate.oddities import Oddities
from tunewright.metrics import Answer

ANSWERS = [
    Answer("1", "red", "red "),
    Answer("2", "blue", "  "),
    Answer("3", "red", "Red", references=("scarlet",)),
    Answer("4", "blue", "scarlet", stopped=False),
    Answer("5", "", "violet\x07"),
    Answer("6", "red", "Red"),
]


def test_labels_that_no_reference_has() -> None:
    odd = Oddities(labels=True)
    passed = [answer for piece in odd.watch([ANSWERS[:2], ANSWERS[2:]]) for answer in piece]
    assert passed == ANSWERS
    assert odd.as_json() == {
        **{"rows": 6, "empty": 1, "cut": 1, "empty_references": 1},
        "unknown_labels": {"rows": 3, "different": 2, "labels": {"Red": 2, "violet\x07": 1}},
    }
    assert odd.lines() == [
        "1 of 6 answers are empty, and count as wrong.",
        "1 of 6 answers were cut at the length limit.",
        "1 of 6 references are empty.",
        "3 of 6 answers are labels that no reference has, such as 'Red', 'violet'.",
    ]


def test_nothing_odd_is_said_of_texts_that_are_whole() -> None:
    odd = Oddities()
    odd.add([Answer("1", "a long answer", "another one")])
    assert odd.lines() == []
    assert odd.as_json() == {"rows": 1, "empty": 0, "cut": 0}
