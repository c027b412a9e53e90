"""What graders and background work are given: models to ask, and patience."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.workspaces import fresh_workspace
from tunewright.base.errors import BusyError, DatabaseAwayError, DiskFullError, InputError
from tunewright.lifecycle.batches.answers import folder_of, open_answers
from tunewright.lifecycle.grading import Patience, WorkTakenError, own_models
from tunewright.lifecycle.jobs.desk import Desk, Later, Setup


def test_a_busy_model_and_a_resting_database_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.lifecycle.grading._LONGEST_PAUSE_S", 0.01)
    faults = [BusyError("Full", retry_after_s=60), DatabaseAwayError("Gone")]

    def question() -> str:
        if faults:
            raise faults.pop()
        return "yes"

    assert Patience().ask(question) == "yes"
    assert faults == []


def test_other_faults_are_told_at_once() -> None:
    def question() -> str:
        raise InputError("Wrong")

    with pytest.raises(InputError):
        Patience().ask(question)


def test_who_waits_is_let_go_in_the_end() -> None:
    patience, caught = Patience(), []

    def question() -> str:
        raise BusyError("The server is stopping", retry_after_s=60)

    def waits() -> None:
        try:
            patience.ask(question)
        except BusyError as error:
            caught.append(error)

    thread = threading.Thread(target=waits, daemon=True)
    thread.start()
    patience.end()
    thread.join(10)
    assert not thread.is_alive()
    assert len(caught) == 1


@pytest.mark.parametrize("error", [DatabaseAwayError("Gone"), DiskFullError("Full"), WorkTakenError("Taken")])
def test_what_passes_is_tried_later(tmp_path: Path, error: Exception) -> None:
    desk = Desk(fresh_workspace(tmp_path / "ws"), Setup(memory_bytes=1 << 20))
    with pytest.raises(Later), own_models(desk):
        raise error


def test_two_processes_never_answer_one_batch(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "batch_x")
    with open_answers(folder), pytest.raises(WorkTakenError):
        open_answers(folder)
