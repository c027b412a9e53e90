"""What people said, in numbers worked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluate.reviewing.made import CHALLENGER, CHAMPION, PRACTICE, prefer, session
from tunewright.base.errors import InputError
from tunewright.evaluate.reviewing.rater import Rater, Task
from tunewright.evaluate.reviewing.results import results_of
from tunewright.evaluate.reviewing.session import Session

ANNA = {"row0": CHAMPION, "row1": CHAMPION, "row2": CHAMPION, "row3": CHALLENGER}
BEN = {**ANNA, "row2": "tie"}


def rate(made: Session, name: str, said: dict[str, str], *, until: int = 99) -> None:
    """Says of each row what is given: a system, tie, both_bad, or a reason to skip it in brackets."""
    with Rater.open(made, name) as rater:
        while (task := rater.next()) is not None and len(rater.given) < until:
            if task.stage == "training":
                prefer(rater, "")
                continue
            _say(rater, task, said[made.rows[task.place].id])


def _say(rater: Rater, task: Task, word: str) -> None:
    if word.startswith("["):
        rater.answer(task.key, skipped=word)
    elif word in task.shown:
        rater.answer(task.key, choice=("left", "right")[task.shown.index(word)])
    else:
        rater.answer(task.key, choice=word)


def test_pairs_of_two_raters(tmp_path: Path) -> None:
    made = session(tmp_path, rows=4, count=4)
    rate(made, "anna", ANNA)
    rate(made, "ben", BEN)
    found = results_of(made)
    assert found.pairs is not None
    # Rows are worth 1, 1, (1 + 0.5) / 2 and 0.
    assert found.pairs.win_rate.value == pytest.approx(2.75 / 4)
    assert found.pairs.win_rate.low < 0.69 < found.pairs.win_rate.high
    # Three rows against one: both tails of the binomial, 2 (1 + 4) / 16.
    assert (found.pairs.paired.only_a, found.pairs.paired.only_b) == (3, 1)
    assert found.pairs.paired.p == pytest.approx(0.625)
    assert found.pairs.votes == {CHAMPION: 5, CHALLENGER: 2, "tie": 1, "both_bad": 0}
    # Observed disagreement 2 / 8; expected (64 - 25 - 4 - 1) / 56.
    assert found.pairs.agreement.value == pytest.approx(1 - (2 / 8) / (34 / 56))
    # Cohen: agreed on 3 of 4; by chance (3 * 2 + 1 * 1) / 16.
    (one, other, kappa) = found.pairs.pairs[0]
    assert (one, other) == ("anna", "ben")
    assert kappa.value == pytest.approx((3 / 4 - 7 / 16) / (1 - 7 / 16))
    assert found.pairs.fleiss.n == 4
    assert (found.rows, found.left_out) == (4, 0)
    lefts = sum(rater.left for rater in found.raters)
    assert found.pairs.left is not None
    assert found.pairs.left.value == pytest.approx(lefts / 7)


def test_who_stops_half_way_counts_with_what_he_has(tmp_path: Path) -> None:
    made = session(tmp_path, rows=4, count=4)
    rate(made, "anna", ANNA)
    rate(made, "ben", {**BEN, "row0": "[cannot read it]"}, until=3)
    found = results_of(made)
    anna, ben = found.raters
    assert (anna.finished, anna.answered, anna.asked) == (True, 4, 4)
    assert (ben.finished, ben.answered + len(ben.skipped), ben.asked) == (False, 3, 4)
    assert set(ben.skipped) <= {"[cannot read it]"}
    assert found.rows == 4


def test_skipped_rows_count_for_nobody(tmp_path: Path) -> None:
    made = session(tmp_path, rows=4, count=4)
    rate(made, "anna", {**ANNA, "row3": "[foreign]"})
    found = results_of(made)
    assert found.rows == 3
    assert found.pairs is not None
    assert found.pairs.win_rate.value == 1
    # A share of 1 has Wilson's interval and no zero width.
    assert found.pairs.win_rate.low == pytest.approx(3 / (3 + 1.959964**2), abs=1e-6)
    assert found.pairs.agreement.value is None
    assert "two or more" in found.pairs.agreement.note


def test_who_fails_the_training_is_counted_apart(tmp_path: Path) -> None:
    made = session(tmp_path, rows=4, count=4, training=PRACTICE)
    rate(made, "anna", ANNA)
    with Rater.open(made, "bob") as bob:
        for choice in ("right", "left"):  # both wrong
            task = bob.next()
            assert task is not None
            bob.answer(task.key, choice=choice)
    rate(made, "bob", dict.fromkeys(ANNA, CHALLENGER))
    found = results_of(made)
    assert [rater.marked for rater in found.raters] == [False, True]
    assert (found.left_out, found.rows) == (4, 4)
    assert found.pairs is not None
    assert found.pairs.votes[CHALLENGER] == 1


def test_repeats_measure_a_rater_against_himself_and_are_no_votes(tmp_path: Path) -> None:
    made = session(tmp_path, rows=8, count=8, controls=2)
    seen: set[int] = set()
    with Rater.open(made, "anna") as rater:
        while (task := rater.next()) is not None:
            # The first row that comes again is answered otherwise than before.
            other = task.stage == "control" and not any(each.stage == "control" for each in rater.given)
            _say(rater, task, CHALLENGER if other else CHAMPION)
            seen.add(task.place)
    found = results_of(made)
    assert (found.raters[0].repeated, found.raters[0].repeats) == (1, 2)
    assert found.pairs is not None
    assert sum(found.pairs.votes.values()) == len(seen) == 8
    assert found.raters[0].median_seconds is not None


def test_ratings_of_two_systems(tmp_path: Path) -> None:
    made = session(tmp_path, kind="rating", rows=3, count=3)
    points = {CHAMPION: {"row0": 5, "row1": 4, "row2": 3}, CHALLENGER: {"row0": 3, "row1": 4, "row2": 1}}
    for name, less in (("anna", 0), ("ben", 1)):
        with Rater.open(made, name) as rater:
            while (task := rater.next()) is not None:
                point = points[task.shown[0]][made.rows[task.place].id]
                rater.answer(task.key, ratings={"clarity": max(1, point - less), "tone": 3})
    clarity, tone = results_of(made).scales
    # Anna's 5, 4, 3 and Ben's 4, 3, 2; Anna's 3, 4, 1 and Ben's 2, 3, 1.
    assert clarity.means[CHAMPION].value == pytest.approx(3.5)
    assert clarity.means[CHALLENGER].value == pytest.approx((2.5 + 3.5 + 1) / 3)
    assert clarity.difference is not None
    assert clarity.difference.value == pytest.approx((2 + 0 + 1.5) / 3)
    assert clarity.paired is not None
    assert (clarity.paired.only_a, clarity.paired.only_b, clarity.paired.p) == (2, 0, 0.5)
    assert clarity.agreement.n == 6
    assert clarity.agreement.value is not None
    assert 0 < clarity.agreement.value < 1
    assert tone.agreement.value is None  # both gave 3 throughout


def test_nothing_is_no_number(tmp_path: Path) -> None:
    made = session(tmp_path)
    with pytest.raises(InputError, match="Nobody has answered"):
        results_of(made)
    Rater.open(made, "anna").close()
    with pytest.raises(InputError, match="Nobody has answered"):
        results_of(made)
