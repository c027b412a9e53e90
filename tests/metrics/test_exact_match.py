"""Exact match of texts."""

from __future__ import annotations

from tests.metrics.contract import value
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
