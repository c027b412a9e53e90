"""The worker: what it claims, what it passes on, and what becomes of tasks whose hands die."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunewright.lifecycle.jobs import worker as workers
from tunewright.lifecycle.jobs.desk import KINDS, Desk
from tunewright.lifecycle.jobs.process import DONE, LATER, STOPPED
from tunewright.lifecycle.jobs.worker import Said, Worker
from tunewright.store import Workspace
from tunewright.store.queue import Claims, Task


class Hand:
    """A hand that does nothing, and ends when the test says so."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.code: int | None = None
        self.asked: list[str] = []
        self.killed = False

    def ended(self) -> int | None:
        return self.code

    def stop(self, reason: str) -> None:
        self.asked.append(reason)

    def kill(self) -> None:
        self.killed = True
        self.code = -9


class Kind:
    """The plug-in of a kind of task that the tests make up."""

    def __init__(self) -> None:
        self.so_far = 0
        self.given_up: list[str] = []

    def come_so_far(self, task: Task, workspace: Workspace) -> int:
        return self.so_far

    def give_up(self, task: Task, desk: Desk, why: str) -> None:
        self.given_up.append(why)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("worker"))


@pytest.fixture
def workspace(shared: Workspace) -> Iterator[Workspace]:
    yield shared
    claims = Claims(shared, "sweeper", 0.0)
    while (task := claims.claim(["dig"])) is not None:
        claims.finish(task)


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Kind:
    found = Kind()
    module = KINDS.module
    monkeypatch.setattr(type(KINDS), "module", lambda self, name: found if name == "dig" else module(name))
    monkeypatch.setattr(workers, "POLL_S", 0.0)
    return found


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[Hand]:
    made: list[Hand] = []

    def start(self: Worker, task: Task) -> Hand:
        made.append(Hand(task))
        return made[-1]

    monkeypatch.setattr(Worker, "_start", start)
    return made


def made_worker(workspace: Workspace, said: list[Said] | None = None, **settings: Any) -> Worker:
    heard = [] if said is None else said
    return Worker(workspace, ["dig"], listener=heard.append, **settings)


@pytest.mark.usefixtures("kind")
def test_no_more_is_begun_than_fits(workspace: Workspace, hands: list[Hand]) -> None:
    for number, size in enumerate((60, 50, 30)):
        workspace.enqueue("dig", f"fits-{number}", memory_bytes=size)
    worker = made_worker(workspace, concurrency=2, memory_bytes=100)
    worker.step()
    assert [hand.task.id for hand in hands] == ["fits-0", "fits-2"]  # 60 and 50 together are too much
    hands[0].code = DONE
    worker.step()
    assert [hand.task.id for hand in hands] == ["fits-0", "fits-2", "fits-1"]
    assert workspace.task("fits-0").state == "done"


@pytest.mark.usefixtures("kind")
def test_one_alone_always_runs(workspace: Workspace, hands: list[Hand]) -> None:
    workspace.enqueue("dig", "large", memory_bytes=1 << 50)
    made_worker(workspace, memory_bytes=1).step()
    assert [hand.task.id for hand in hands] == ["large"]


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize(("wish", "state"), [("cancel", "done"), ("pause", "paused")])
def test_what_is_wanted_is_passed_on_once(workspace: Workspace, hands: list[Hand], wish: Any, state: str) -> None:
    workspace.enqueue("dig", f"asked-{wish}")
    worker = made_worker(workspace)
    worker.step()
    workspace.ask(f"asked-{wish}", wish)
    worker.step()
    worker.step()
    assert hands[0].asked == [wish]
    hands[0].code = STOPPED
    worker.step()
    assert workspace.task(f"asked-{wish}").state == state
    assert not worker.is_busy


@pytest.mark.usefixtures("kind")
def test_a_worker_that_ends_gives_its_tasks_back(workspace: Workspace, hands: list[Hand]) -> None:
    workspace.enqueue("dig", "given-back")
    worker = made_worker(workspace)
    worker.step()
    hands[0].code = STOPPED
    worker.stop()
    assert hands[0].asked == ["leave"]
    assert workspace.task("given-back").state == "queued"
    made_worker(workspace).step()
    assert [hand.task.id for hand in hands] == ["given-back"] * 2


def test_a_hand_that_dies_is_replaced_as_long_as_it_comes_further(
    workspace: Workspace, hands: list[Hand], kind: Kind
) -> None:
    workspace.enqueue("dig", "dying")
    said: list[Said] = []
    worker = made_worker(workspace, said)
    worker.step()
    for number in range(12):
        kind.so_far = number
        hands[-1].code = -9
        worker.step()
    assert len(hands) == 13
    assert not kind.given_up
    for _ in range(4):
        hands[-1].code = 1
        worker.step()
    assert len(hands) == 16
    assert kind.given_up == ["Its process has ended 5 times without getting further (exit code 1)."]
    assert workspace.task("dying").state == "done"
    assert str(said[-1]) == "dig dying: failed"


@pytest.mark.usefixtures("kind")
def test_what_cannot_go_on_for_now_waits(
    workspace: Workspace, hands: list[Hand], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_WAIT_S", 3600.0)
    workspace.enqueue("dig", "waits")
    worker = made_worker(workspace)
    worker.step()
    hands[0].code = LATER
    worker.step()
    worker.step()
    assert workspace.task("waits").state == "queued"
    assert len(hands) == 1


@pytest.mark.usefixtures("kind")
def test_a_task_that_went_to_another_worker_is_let_go(workspace: Workspace, hands: list[Hand]) -> None:
    workspace.enqueue("dig", "lost")
    said: list[Said] = []
    worker = made_worker(workspace, said)
    worker.step()
    other = Claims(workspace, "other", 0.0)
    other.claim(["dig"])  # sees the beat
    taken = other.claim(["dig"])
    assert taken
    assert taken.id == "lost"
    worker._working["lost"].renewed_at -= worker.lease_s  # it is time to renew
    worker.step()
    assert hands[0].killed
    assert not worker.is_busy
    assert said[-1].what.startswith("lost")
    assert workspace.task("lost").owner == "other"


def test_a_worker_that_hung_takes_its_own_task_anew_with_one_hand(
    workspace: Workspace, hands: list[Hand], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_MOST_CLAIMS", 3)
    workspace.enqueue("dig", "hung")
    worker = made_worker(workspace, lease_s=0.0, concurrency=2)  # which has run out as soon as it looks again
    worker.step()
    assert [hand.killed for hand in hands] == [True, True, True]
    assert kind.given_up == ["Its workers have died 3 times while they worked on it."]
    assert not worker.is_busy


def test_light_tasks_are_done_in_a_thread(tmp_path: Path) -> None:
    import time

    from tests.lifecycle.jobs.made import chat_rows, fresh, made_workspace, ordered, uploaded

    workspace = made_workspace(tmp_path)
    job = ordered(workspace, uploaded(workspace, chat_rows(3)))
    worker = Worker(workspace, ["validation"], concurrency=1)
    until = time.monotonic() + 30
    while worker.has_work():
        assert time.monotonic() < until
        worker.step()
    assert fresh(workspace, job)["error"]["code"] == "invalid_n_examples"
