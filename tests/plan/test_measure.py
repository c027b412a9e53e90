import sys

import numpy as np
import pytest

from tests.lifecycle.world import make_world
from tests.plan.made import made_recipe, made_table
from tunewright.base.errors import TunewrightError
from tunewright.data.tokens import Sequences, TokenRow, TokenTable
from tunewright.plan import measure, plan
from tunewright.plan.measure import measure_step
from tunewright.plan.step import ROWS, peak_bytes, read_rows, resident_bytes
from tunewright.plan.work import work_assumed, work_of_rows


@pytest.mark.slow
@pytest.mark.long
def test_one_step_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / "cache"))
    found = plan(make_world(tmp_path / "world", rows=120), measured=True)
    measured = found.measured
    assert measured is not None
    assert measured.nodes == sum(p.nodes for p in [found.work.worst])
    assert measured.imported_bytes < measured.peak_bytes
    assert measured.step_s > 0
    assert found.error == found.as_recipe.memory.total / measured.peak_bytes - 1
    assert abs(found.error) < 0.1  # a tiny model: nearly all of it is the libraries
    assert found.fits
    # The step's pace is the device's share of its best product, and times follow from it.
    assert found.as_recipe.seconds == pytest.approx(
        measured.step_s * found.work.training.nodes / measured.nodes, rel=0.5
    )


def test_rows_come_back_as_they_were_with_their_rejected_answers(tmp_path):
    weights = np.array([0, 1, 1], np.float32)
    rows = [
        TokenRow(np.array([1, 2, 3], np.int32), weights, TokenRow(np.array([1, 4, 5], np.int32), weights)),
        TokenRow(np.array([6, 7, 8], np.int32), weights),
    ]
    np.savez(tmp_path / ROWS, **measure._arrays(rows))
    tables = read_rows(tmp_path / ROWS, tmp_path)
    train = tables["train"]
    assert len(train) == 2
    assert train.row(0).rejected.tokens.tolist() == [1, 4, 5]
    assert train.row(1).rejected is None
    assert train.row(1).tokens.tolist() == [6, 7, 8]
    assert len(tables["validation"]) == 1


def test_the_rows_of_the_worst_step_are_taken(tmp_path):
    starts = np.array([0, 3, 6])
    table = made_table([[1, 2, 3], [4, 5, 6, 7, 8]])
    recipe = made_recipe(batch_size=1)
    work = work_of_rows(recipe, {"train": table}, lambda piece: piece.nodes)
    assert [row.tokens.tolist() for row in measure._rows_of(recipe, work, {"train": table})] == [[4, 5, 6, 7, 8]]
    assert isinstance(Sequences(starts, np.empty(6), np.empty(6)), Sequences)
    assert isinstance(table, TokenTable)


def test_rows_that_are_not_known_are_made_as_long_as_they_may_be():
    recipe = made_recipe(batch_size=3)
    rows = measure._rows_of(recipe, work_assumed(recipe, 10), {})
    assert [len(row.tokens) for row in rows] == [64] * 3
    assert all(row.weights[0] == 0 and row.weights[1:].all() for row in rows)


def test_the_step_is_done_twice_and_nothing_is_replayed():
    recipe = made_recipe(batch_size=3, best="loss")
    asked = measure._one_step(recipe, 5)
    assert (asked["train"]["batch_size"], asked["train"]["epochs"]) == (5, 2)
    assert asked["forgetting"] == {"l2": 0.0}


def fake(monkeypatch, code):
    """Puts another program in the place of the child."""
    monkeypatch.setattr(sys, "executable", "/bin/sh")
    run = measure.subprocess.run
    monkeypatch.setattr(measure.subprocess, "run", lambda command, **others: run(["/bin/sh", "-c", code], **others))


def test_a_process_ended_for_want_of_memory_is_an_answer(monkeypatch, tmp_path):
    fake(monkeypatch, "kill -9 $$")
    recipe = made_recipe()
    assert measure_step(recipe, work_assumed(recipe, 10), {}, tmp_path).was_killed


def test_a_step_that_fails_is_told(monkeypatch, tmp_path):
    fake(monkeypatch, "echo 'the wrong base' >&2; exit 1")
    recipe = made_recipe()
    with pytest.raises(TunewrightError, match="the wrong base"):
        measure_step(recipe, work_assumed(recipe, 10), {}, tmp_path)


def test_the_peak_is_this_process_own():
    assert peak_bytes() >= resident_bytes() // 2
    before = peak_bytes()
    held = np.ones(1 << 23)
    assert peak_bytes() >= before
    assert held[0] == 1
