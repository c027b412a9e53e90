"""Which rows people look at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.evaluate.reviewing.made import CHALLENGER, CHAMPION, answers, both
from tunewright.base.errors import InputError
from tunewright.evaluate.reviewing.material import gather


def test_pairs_are_drawn_from_the_rows_that_differ() -> None:
    found = gather(both(12, same=4), "pairwise", count=5, seed=1)
    assert (found.shared, found.unshared, found.identical) == (12, 0, 4)
    assert len(found.rows) == 5
    assert all(row.answers[CHAMPION] != row.answers[CHALLENGER] for row in found.rows)
    assert found == gather(both(12, same=4), "pairwise", count=5, seed=1)
    assert found.rows != gather(both(12, same=4), "pairwise", count=5, seed=2).rows
    # All rows are rated, alike or not.
    assert len(gather(both(12, same=4), "rating", count=99, seed=1).rows) == 12


def test_rows_that_only_one_answered_are_counted() -> None:
    few = {CHAMPION: answers(CHAMPION, 12), CHALLENGER: answers(CHALLENGER, 9)}
    assert (gather(few, "pairwise", count=50, seed=1).shared, gather(few, "pairwise", count=50, seed=1).unshared) == (
        9,
        3,
    )


def test_wrong_input_says_what_it_is() -> None:
    with pytest.raises(InputError, match="A pair is of two systems"):
        gather({CHAMPION: answers(CHAMPION)}, "pairwise", count=5, seed=1)
    other = answers(CHALLENGER)
    moved = replace(other, answers=tuple(replace(each, id=f"x{each.id}") for each in other.answers))
    with pytest.raises(InputError, match="answered no row in common"):
        gather({CHAMPION: answers(CHAMPION), CHALLENGER: moved}, "pairwise", count=5, seed=1)
    with pytest.raises(InputError, match="the same answer to all 12 rows"):
        gather(both(12, same=12), "pairwise", count=5, seed=1)
    silent = {name: replace(a, answers=tuple(replace(e, question="") for e in a.answers)) for name, a in both().items()}
    with pytest.raises(InputError, match="stored without the questions"):
        gather(silent, "pairwise", count=5, seed=1)
    odd = replace(other, answers=tuple(replace(each, question="Something else?") for each in other.answers))
    with pytest.raises(InputError, match="row0: This row was asked differently"):
        gather({CHAMPION: answers(CHAMPION), CHALLENGER: odd}, "pairwise", count=5, seed=1)
