"""Whether an answer rests on its passage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.synthesis.grounding import THRESHOLD, grounding

PASSAGE = "The Lumo lamp runs for 1,200 hours on one charge. It was first sold on 14 March 2019 for 49.90 euros."


@pytest.mark.parametrize(
    ("answer", "share", "missing"),
    [
        ("It runs for 1,200 hours.", 1.0, ()),
        ("LUMO LAMP, first sold in 2019", 1.0, ()),
        ("1.200 hours; 49,90 euros", 1.0, ()),  # another way to write the same numbers
        ("It runs for 1,500 hours.", 1.0, ("1500",)),
        ("charge hours lasts forever", 0.5, ()),
        ("1200", 1.0, ()),
        ("12", 1.0, ("12",)),  # no part of a number is that number
        ("No.", 0.0, ()),
        ("it", 1.0, ()),  # no content word: then each word counts
        ("", 0.0, ()),
    ],
)
def test_words_and_numbers_must_stand_in_the_passage(answer: str, share: float, missing: tuple[str, ...]) -> None:
    found = grounding(answer, PASSAGE)
    assert (found.share, found.missing_numbers) == (share, missing)
    assert found.holds(THRESHOLD) == (share >= 0.8 and not missing)


def test_scripts_without_spaces_are_compared_by_pairs() -> None:
    passage = "このランプは一度の充電で百時間使えます。"
    assert grounding("百時間使えます", passage).share == 1
    assert grounding("二百日持ちます", passage).share < 0.5


@given(st.text(max_size=80))
def test_a_text_rests_on_itself(text: str) -> None:
    found = grounding(text, text)
    assert found.missing_numbers == ()
    assert found.share in (0.0, 1.0)
    assert (found.share == 1) == any(letter.isalpha() or letter.isdecimal() for letter in text) or not text.isascii()
