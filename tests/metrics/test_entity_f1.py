"""Entities by exact span and type, worked by hand."""

from __future__ import annotations

import pytest

from tests.metrics.contract import measure
from tunewright.metrics import Answer
from tunewright.metrics.entity_f1 import entities


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-PER I-PER O B-LOC", [(0, 2, "PER"), (3, 4, "LOC")]),
        ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")]),  # two side by side
        ("I-PER I-PER O", [(0, 2, "PER")]),  # begins without a B, as conlleval reads it
        ("B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")]),  # another type goes on no entity
        ("B-PER O I-PER", [(0, 1, "PER"), (2, 3, "PER")]),
        ("O O", []),
        ("NOUN VERB", [(0, 1, "NOUN"), (1, 2, "VERB")]),  # tags that are no parts of entities
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
        ("PER I-PER", [(0, 1, "PER"), (1, 2, "PER")]),
    ],
)
def test_entities(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert entities(tags.split()) == spans


def test_by_hand() -> None:
    answers = [
        Answer("1", "B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC"),  # 2 right of 2 given and 2 wanted
        Answer("2", "B-PER I-PER O", "B-PER O O"),  # too short: 0 of 1 and 1
        Answer("3", "O O B-ORG", "O B-ORG B-LOC"),  # 0 of 2 and 1
        Answer("4", "O O", "O O"),
    ]
    found = measure("entity_f1", answers)
    assert found["entity_precision"].value == pytest.approx(2 / 5)
    assert found["entity_recall"].value == pytest.approx(2 / 4)
    assert found["entity_f1"].value == pytest.approx(2 * 2 / (5 + 4))
    assert found["entity_f1"].values.tolist() == [1.0, 0.0, 0.0, 1.0]


def test_tags_that_are_missing_are_outside_and_those_beyond_are_left_out() -> None:
    found = measure("entity_f1", [Answer("1", "B-PER O B-LOC", "B-PER"), Answer("2", "O", "O B-PER B-PER")])
    assert found["entity_precision"].value == 1.0
    assert found["entity_recall"].value == 0.5


def test_nothing_to_find_and_nothing_found() -> None:
    assert {one.value for one in measure("entity_f1", [Answer("1", "O", "O")]).values()} == {1.0}
