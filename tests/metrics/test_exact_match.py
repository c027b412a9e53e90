"""Exact match of texts."""

from __future__ import annotations

from tests.metrics.contract import measure, value
from tunewright.metrics import Answer

ANSWERS = [
    Answer("1", "Yes", " Yes\n"),
    Answer("2", "Yes", "yes"),
    Answer("3", "Straße", "STRASSE"),
    Answer("4", "a", ""),
]


def test_white_space_at_the_ends_does_not_count_and_case_does() -> None:
    assert value("exact_match", ANSWERS) == 1 / 4


def test_case_can_be_folded() -> None:
    assert value("exact_match", ANSWERS, casefold=True) == 3 / 4


def test_texts_normalised_as_squad_does_it() -> None:
    answers = [
        Answer("1", "Eiffel Tower", "The Eiffel-Tower, "),
        Answer("2", "EiffelTower", "the Eiffel-Tower!"),
        Answer("3", "東京", "「東京」。"),
        Answer("4", "theme", "me"),
        Answer("5", "a", ""),
    ]
    found = measure("exact_match", answers, casefold=True, punctuation="ignored", articles="ignored")["exact_match"]
    # A dash is taken out and leaves no space, as there; an article alone is nothing, as an empty answer is.
    assert found.values.tolist() == [0, 1, 1, 0, 1]


def test_any_of_several_references_will_do() -> None:
    answers = [Answer("1", "car", "automobile", references=("auto", "automobile")), Answer("2", "car", "bus")]
    assert value("exact_match", answers) == 0.5
    assert value("exact_match", [Answer("1", "new  york", "new york")], spaces="folded") == 1.0
