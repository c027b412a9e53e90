"""Near copies among texts that come one after another, against comparing every pair."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.minhash import SHINGLE
from tunewright.data.near import words_of
from tunewright.data.synthesis.copies import Copies


def _jaccard(one: str, other: str) -> float:
    """By definition, over sets of character groups."""

    def groups(text: str) -> set[str]:
        words = words_of(text)
        return {words[at : at + SHINGLE] for at in range(max(1, len(words) - SHINGLE + 1))} if words else set()

    left, right = groups(one), groups(other)
    return len(left & right) / len(left | right) if left | right else 0.0


def test_case_and_marks_do_not_count() -> None:
    copies = Copies(0.8)
    copies.add(["Where is my parcel today?", "My card was stolen."])
    assert copies.is_near("where IS my parcel, today")
    assert copies.is_near("Where is my parcel today, eh?")
    assert not copies.is_near("Where is my card?")
    assert not copies.is_near("")
    copies.add([""])
    assert not copies.is_near("...")
    assert len(copies) == 2


@pytest.mark.parametrize("threshold", [0.3, 0.55, 0.8, 1.0])
@given(seed=st.integers(0, 10**6))
def test_none_is_missed_and_none_invented(threshold: float, seed: int) -> None:
    dice = random.Random(seed)
    known = ["".join(dice.choices("abcd ", k=dice.randrange(1, 30))) for _ in range(12)]
    new = "".join(sign if dice.random() < 0.9 else dice.choice("abcd ") for sign in dice.choice(known))
    copies = Copies(threshold)
    copies.add(known)
    assert copies.is_near(new) == any(_jaccard(new, text) >= threshold for text in known)
