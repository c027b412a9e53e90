"""One rater's way through a session."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.reviewing.made import CHALLENGER, CHAMPION, PRACTICE, RATED, prefer, session
from tunewright.base.errors import DataError, InputError
from tunewright.evaluate.reviewing.rater import LONGEST_NOTE, Rater, StaleTaskError, read_given, texts, token, way


def test_order_and_sides_are_each_raters_own_and_stay(tmp_path: Path) -> None:
    made = session(tmp_path, rows=40, count=40)
    anna, ben = way(made, "anna"), way(made, "ben")
    assert anna == way(made, "anna")
    assert sorted(task.place for task in anna) == list(range(40))
    assert [task.place for task in anna] != [task.place for task in ben]
    sides = {task.place: task.shown for task in ben}
    assert any(task.shown != sides[task.place] for task in anna)
    # Of 40 fair coins fewer than 10 or more than 30 heads come up once in a thousand times.
    assert 10 <= Counter(task.shown[0] for task in anna)[CHAMPION] <= 30
    question, shown, reference = texts(made, anna[0])
    row = made.rows[anna[0].place]
    assert (question, shown, reference) == (row.question, tuple(row.answers[s] for s in anna[0].shown), "")


def test_controls_come_again_later_with_sides_changed(tmp_path: Path) -> None:
    tasks = way(session(tmp_path, rows=20, count=20, controls=4, training=PRACTICE), "anna")
    assert [task.stage for task in tasks[:2]] == ["training", "training"]
    place = {task.key: at for at, task in enumerate(tasks)}
    again = [task for task in tasks if task.stage == "control"]
    assert len(again) == 4
    for task in again:
        first = tasks[place[task.key.removeprefix("again:")]]
        assert place[task.key] - place[first.key] > 1
        assert task.shown == first.shown[::-1]
    assert len(tasks) == 26


def test_of_few_rows_few_are_asked_twice(tmp_path: Path) -> None:
    tasks = way(session(tmp_path, rows=3, count=3, controls=5), "anna")
    assert Counter(task.stage for task in tasks) == {"row": 3, "control": 1}


def test_dealt_rows_are_each_seen_by_as_many_as_asked(tmp_path: Path) -> None:
    names = ("anna", "ben", "carl")
    made = session(tmp_path, overlap=2, dealt_to=names)
    seen = Counter(task.place for name in names for task in way(made, name))
    assert seen == dict.fromkeys(range(12), 2)
    assert [len(way(made, name)) for name in names] == [8, 8, 8]


def test_every_answer_is_on_disk_before_the_next(tmp_path: Path) -> None:
    made = session(tmp_path)
    with Rater.open(made, "anna") as rater:
        for done in range(1, 4):
            prefer(rater, CHAMPION)
            assert len(read_given(made, "anna")) == done
            assert read_given(made, "anna")[-1].preferred == CHAMPION
        waiting = rater.next()
    with Rater.open(made, "anna") as rater:
        assert rater.next() == waiting
        assert not rater.is_done


def test_undo_takes_back_answers_and_no_training(tmp_path: Path) -> None:
    with Rater.open(session(tmp_path, training=PRACTICE), "anna") as rater:
        prefer(rater, "")
        assert rater.undo() is None
        prefer(rater, "")
        first = rater.next()
        prefer(rater, CHALLENGER)
        taken = rater.undo()
        assert taken is not None
        assert taken.preferred == CHALLENGER
        assert rater.next() == first
        assert rater.undo() is None  # what comes before is training


def test_a_training_item_is_held_against_what_is_known(tmp_path: Path) -> None:
    with Rater.open(session(tmp_path, training=PRACTICE), "anna") as rater:
        for _ in range(2):
            task = rater.next()
            assert task is not None
            assert rater.answer(task.key, choice="left").right == (task.place == 0)
        assert (rater.learned.right, rater.learned.items, rater.learned.failed) == (1, 2, True)  # half is under 70 %
    with Rater.open(session(tmp_path, kind="rating", training=RATED), "anna") as rater:
        task = rater.next()
        assert task is not None
        assert rater.answer(task.key, ratings={"clarity": 4, "tone": 2}).right is True


def test_what_is_no_answer_is_refused_and_not_written(tmp_path: Path) -> None:
    made = session(tmp_path, training=PRACTICE[:1])
    with Rater.open(made, "anna") as rater:
        task = rater.next()
        assert task is not None
        with pytest.raises(InputError, match="cannot be skipped"):
            rater.answer(task.key, skipped="")
        with pytest.raises(InputError, match="'middle' is no choice"):
            rater.answer(task.key, choice="middle")
        with pytest.raises(InputError, match="no choice"):
            rater.answer(task.key, choice="left", ratings={"clarity": 1})
        with pytest.raises(StaleTaskError):
            rater.answer("row:row3", choice="left")
        with pytest.raises(InputError, match="too long"):
            rater.answer(task.key, choice="left", comment="x" * (LONGEST_NOTE + 1))
        assert read_given(made, "anna") == []
        prefer(rater, "")
        with pytest.raises(StaleTaskError):
            rater.answer(task.key, choice="left")  # sent twice
        task = rater.next()
        assert task is not None
        with pytest.raises(InputError, match="has no answer"):
            rater.answer(task.key, choice="left", skipped="why not")
        given = rater.answer(task.key, skipped="a language I do not read", comment=" so it is ")
        assert (given.skipped, given.comment, given.preferred) == ("a language I do not read", "so it is", "")


def test_every_scale_needs_a_point_that_it_has(tmp_path: Path) -> None:
    with Rater.open(session(tmp_path, kind="rating"), "anna") as rater:
        assert len(rater.tasks) == 24  # two systems
        task = rater.next()
        assert task is not None
        for ratings, said in (
            ({"clarity": 3}, "missing: Tone"),
            ({"clarity": 3, "tone": 6}, "6 is no point of the scale Tone"),
            ({"clarity": 3, "tone": 3, "charm": 3}, "Give each scale a point"),
        ):
            with pytest.raises(InputError, match=said):
                rater.answer(task.key, ratings=ratings)
        assert rater.answer(task.key, ratings={"clarity": 3, "tone": 5}).shown == task.shown


def test_one_name_is_at_work_once(tmp_path: Path) -> None:
    made = session(tmp_path)
    with Rater.open(made, "anna"):
        with pytest.raises(DataError, match="'anna' is rating in this session right now"):
            Rater.open(made, "anna")
        Rater.open(made, "ben").close()
    Rater.open(made, "anna").close()


def test_a_line_that_was_cut_off_is_asked_again_and_a_strange_one_named(tmp_path: Path) -> None:
    made = session(tmp_path)
    with Rater.open(made, "anna") as rater:
        prefer(rater, CHAMPION)
        prefer(rater, CHAMPION)
    path = made.file_of("anna")
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with Rater.open(made, "anna") as rater:
        assert len(rater.given) == 1
        assert rater.next() == rater.tasks[1]
    path.write_bytes(whole + b'{"key": 1}\n')
    with pytest.raises(DataError, match=r"anna\.jsonl:3: This line is no answer"):
        Rater.open(made, "anna")


def test_a_killed_rater_goes_on_where_he_was(tmp_path: Path) -> None:
    made = session(tmp_path)
    child = os.fork()
    if child == 0:
        with Rater.open(made, "anna") as rater:
            for _ in range(5):
                prefer(rater, CHAMPION)
            signal.pause()
    try:
        until = time.monotonic() + 30
        while not made.file_of("anna").is_file() or len(read_given(made, "anna")) < 5:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with Rater.open(made, "anna") as rater:
        assert [each.preferred for each in rater.given] == [CHAMPION] * 5
        assert rater.next() == rater.tasks[5]


@settings(max_examples=20)
@given(name=st.text(alphabet="abcxyz019_", min_size=1, max_size=12), seed=st.integers(0, 2**31))
def test_codes_of_tasks_are_all_different(name: str, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = session(tmp_path_factory.getbasetemp() / "codes", kind="rating", rows=4, count=4, controls=2, seed=seed % 3)
    codes = [token(made, name, task) for task in way(made, name)]
    assert len(set(codes)) == len(codes) == 10
    assert all(len(code) == 24 and int(code, 16) >= 0 for code in codes)
