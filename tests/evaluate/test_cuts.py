"""Rows told apart: classes, quarters, languages, topics, columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.evaluate.cuts import NONE, OTHERS, Cut, cut_rows, unknown_cuts
from tunewright.metrics import Answer

GERMAN = "Bitte schicken Sie mir die Rechnung für meine letzte Bestellung noch einmal zu."
ENGLISH = "Please send me the invoice of my last order once more, I have lost it."


def _rows(n: int, **cells: Any) -> list[Answer]:
    """Rows whose fields are functions of their number."""
    return [
        Answer(f"r{i}", **{"reference": "a", "prediction": "a"} | {k: f(i) for k, f in cells.items()}) for i in range(n)
    ]


def _cut(rows: Sequence[Answer], name: str, kind: str = "label", **more: Any) -> Cut:
    (cut,) = cut_rows(rows, [name], answer_kind=kind, seed=0, **more).cuts
    return cut


def test_the_class_is_the_right_label_without_its_white_space() -> None:
    cut = _cut(_rows(6, reference=lambda i: " refund\n" if i < 2 else "swap"), "class")
    assert cut == Cut("class", ("refund",) * 2 + ("swap",) * 4, is_class=True)


def test_each_field_of_a_record_with_few_values_is_a_class_of_its_own() -> None:
    rows = _rows(
        8, reference=lambda i: f'{{"intent": "{"ab"[i % 2]}", "order": "{i}", "urgent": {str(i < 4).lower()}}}'
    )
    cuts = cut_rows(rows, ["class"], answer_kind="json", seed=0).cuts
    assert [cut.by for cut in cuts] == ["answer.intent", "answer.urgent"]
    assert cuts[0].values == ("a", "b") * 4
    assert cuts[1].values == ("true",) * 4 + ("false",) * 4


def test_free_text_has_no_classes() -> None:
    assert cut_rows(_rows(9, reference=lambda i: f"text {i}"), ["class"], answer_kind="text", seed=0).cuts == ()


def test_lengths_are_quarters_counted_in_characters() -> None:
    cut = _cut(_rows(40, question=lambda i: "x" * (i + 1)), "question_length")
    assert Counter(cut.values) == dict.fromkeys(["shortest", "short", "long", "longest"], 10)
    assert cut.shown["shortest"] == "1 to 10 characters"
    assert cut.shown["longest"] == "31 to 40 characters"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_equal_lengths_are_never_parted(lengths: list[int]) -> None:
    rows = _rows(len(lengths), reference=lambda i: "x" * lengths[i])
    for cut in cut_rows(rows, ["answer_length"], answer_kind="text", seed=0).cuts:
        by_length: dict[int, set[str]] = {}
        for length, value in zip(lengths, cut.values, strict=True):
            by_length.setdefault(length, set()).add(value)
        assert all(len(found) == 1 for found in by_length.values())


def test_what_does_not_part_the_rows_is_left_out() -> None:
    found = cut_rows(
        _rows(20, question=lambda i: "same"), ["class", "question_length", "source"], answer_kind="label", seed=0
    )
    assert (found.cuts, found.notes) == ((), ())


def test_languages_of_texts_that_are_long_enough() -> None:
    texts = [GERMAN, ENGLISH, "ok", "ja"]
    cut = _cut(_rows(40, question=lambda i: texts[i % 4]), "language")
    assert cut.values[:4] == ("de", "en", "(too short to tell)", "(too short to tell)")


def test_a_column_keeps_common_values_and_joins_rare_ones() -> None:
    shops = ["berlin"] * 12 + ["rome"] * 15 + [f"small {n}" for n in range(6)] + [""] * 11
    cut = _cut(_rows(44, columns=lambda i: {"shop": shops[i]}), "shop")
    assert Counter(cut.values) == {"berlin": 12, "rome": 15, OTHERS: 6, NONE: 11}
    assert cut.shown[OTHERS] == "6 values of fewer than 10 rows each"


def test_a_column_of_many_numbers_is_cut_into_quarters() -> None:
    cut = _cut(_rows(40, columns=lambda i: {"price": str(i + 0.5)}), "price")
    assert cut.shown["lowest"] == "0.5 to 9.5"
    assert Counter(cut.values)["highest"] == 10


def test_a_column_of_names_tells_nothing_apart_and_says_so() -> None:
    found = cut_rows(_rows(40, columns=lambda i: {"order": f"A{i}"}), ["order"], answer_kind="label", seed=0)
    assert found.cuts == ()
    assert "No value of 'order' is met 10 times" in found.notes[0]


def test_a_column_that_is_not_there_is_told_with_what_it_may_have_meant() -> None:
    (note,) = cut_rows(_rows(3, columns=lambda i: {"channel": "web"}), ["chanel"], answer_kind="label", seed=0).notes
    assert "No row has a column 'chanel'. Did you mean 'channel'?" in note
    assert unknown_cuts(["class", "channel", "langauge"], ["channel"]) == {
        "langauge": "Did you mean 'language'? Known: class, question_length, answer_length, language, topic, source, "
        "channel."
    }


def test_answers_without_questions_have_neither_their_length_nor_their_language() -> None:
    notes = cut_rows(_rows(3), ["question_length", "language"], answer_kind="label", seed=0).notes
    assert [note.partition(", so ")[2] for note in notes] == ["there is no question length.", "there is no language."]


def test_topics_are_found_by_meaning_and_named_by_their_words() -> None:
    texts = ["my card has not arrived", "what is the exchange rate"]

    def embed(questions: Sequence[str]) -> Any:
        corner = np.array([[1.0, 0.0], [0.0, 1.0]])
        return np.stack([corner[int("rate" in question)] for question in questions]).astype(np.float32)

    rows = _rows(40, question=lambda i: texts[i % 2])
    cut = _cut(rows, "topic", embed=embed)
    assert cut.values == ("arrived, card, has", "exchange, rate, the") * 20
    assert "pull embedded" in cut_rows(rows, ["topic"], answer_kind="label", seed=0).notes[0]


@pytest.mark.parametrize("kind", ["tags", "document"])
def test_kinds_without_classes(kind: str) -> None:
    assert cut_rows(_rows(4, reference=lambda i: "ab"[i % 2]), ["class"], answer_kind=kind, seed=0).cuts == ()
