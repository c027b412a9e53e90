from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.processes import ended, killed_at, program
from tunewright.base.errors import InputError, LeaseLostError, NoSuchRecordError
from tunewright.store import Claims, Task, Workspace, new_id

LEASE_S = 20.0


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self, at_s: float = 0.0) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def claims(workspace: Workspace, clock: Clock) -> Claims:
    return Claims(workspace, "first", LEASE_S, clock=clock)


def taken(claims: Claims, kind: str = "job", free_bytes: int | None = None) -> Task:
    task = claims.claim([kind], free_bytes=free_bytes)
    assert task is not None
    return task


def test_a_task_goes_from_queued_to_done(workspace: Workspace, claims: Claims) -> None:
    queued = workspace.enqueue("job", "job-1", memory_bytes=5)
    assert (queued.state, queued.owner, queued.attempts, queued.memory_bytes) == ("queued", "", 0, 5)
    task = taken(claims)
    assert (task.id, task.state, task.owner, task.attempts, task.wanted) == ("job-1", "running", "first", 1, "")
    assert claims.claim(["job"]) is None
    assert claims.renew(task) == task == workspace.task("job-1")
    assert claims.finish(task).state == workspace.task("job-1").state == "done"
    assert claims.claim(["job"]) is None
    with pytest.raises(LeaseLostError, match=r"The job job-1 is no longer this worker's \(first\)"):
        claims.renew(task)


def test_tasks_are_claimed_by_kind_priority_and_age(workspace: Workspace, claims: Claims) -> None:
    for id, priority in [("a", 0), ("b", 0), ("c", 5), ("d", -1)]:
        workspace.enqueue("job", id, priority=priority)
    workspace.enqueue("batch", "e", priority=9)
    assert [task.id for task in workspace.tasks()] == ["e", "c", "a", "b", "d"]
    assert [taken(claims).id for _ in range(4)] == ["c", "a", "b", "d"]
    assert [task.id for task in workspace.tasks(states=["queued"])] == ["e"]
    assert [task.id for task in workspace.tasks(["job"], states=["running"])] == ["c", "a", "b", "d"]
    assert claims.claim([]) is None
    assert taken(claims, "batch").id == "e"


def test_what_does_not_fit_into_memory_is_passed_over(workspace: Workspace, claims: Claims) -> None:
    workspace.enqueue("job", "large", memory_bytes=100)
    workspace.enqueue("job", "small", memory_bytes=10)
    assert claims.claim(["job"], free_bytes=9) is None
    assert taken(claims, free_bytes=99).id == "small"
    assert taken(claims, free_bytes=100).id == "large"


def test_queueing_again_changes_nothing_until_it_is_done(workspace: Workspace, claims: Claims) -> None:
    first = workspace.enqueue("job", "a", memory_bytes=1)
    assert workspace.enqueue("job", "a", memory_bytes=2) == first
    with pytest.raises(InputError, match="queued as 'job', not as 'batch'"):
        workspace.enqueue("batch", "a")
    task = taken(claims)
    assert workspace.enqueue("job", "a").state == "running"
    claims.finish(task)
    again = workspace.enqueue("job", "a", memory_bytes=3)
    assert (again.state, again.attempts, again.memory_bytes) == ("queued", 0, 3)
    assert taken(claims).claim == 2
    with pytest.raises(LeaseLostError):
        claims.finish(task)  # the claim before, though of the same owner


def test_an_unknown_task_is_said_to_be(workspace: Workspace) -> None:
    with pytest.raises(NoSuchRecordError, match="No task has the id 'x'"):
        workspace.task("x")
    with pytest.raises(NoSuchRecordError):
        workspace.ask("x", "cancel")


def test_wishes_are_granted_at_once_where_nobody_works(workspace: Workspace, claims: Claims) -> None:
    workspace.enqueue("job", "a")
    assert workspace.ask("a", "resume").state == "queued"
    assert workspace.ask("a", "pause").state == "paused"
    assert claims.claim(["job"]) is None
    assert workspace.ask("a", "resume").state == "queued"
    workspace.ask("a", "pause")
    cancelled = workspace.ask("a", "cancel")
    assert (cancelled.state, cancelled.wanted) == ("done", "cancel")
    with pytest.raises(InputError, match="The task 'a' has ended"):
        workspace.ask("a", "resume")


def test_a_running_tasks_owner_is_told_what_is_wanted(workspace: Workspace, claims: Claims) -> None:
    workspace.enqueue("job", "a")
    task = taken(claims)
    assert workspace.ask("a", "pause").state == "running"
    assert claims.renew(task).wanted == "pause"
    workspace.ask("a", "resume")
    assert claims.renew(task).wanted == ""
    workspace.ask("a", "pause")
    rests = claims.give_back(task)
    assert (rests.state, rests.wanted, rests.attempts) == ("paused", "", 0)
    workspace.ask("a", "resume")
    task = taken(claims)
    workspace.ask("a", "cancel")
    for wish in ("pause", "resume"):
        assert workspace.ask("a", wish).wanted == "cancel"
    assert claims.renew(task).wanted == "cancel"
    assert claims.finish(task).state == "done"


def test_what_is_given_back_can_be_claimed_again(workspace: Workspace, claims: Claims) -> None:
    workspace.enqueue("job", "a")
    task = taken(claims)
    workspace.ask("a", "cancel")
    back = claims.give_back(task)
    assert (back.state, back.wanted, back.attempts) == ("queued", "cancel", 0)
    with pytest.raises(LeaseLostError):
        claims.give_back(task)
    other = taken(Claims(workspace, "second"))
    assert (other.owner, other.wanted, other.attempts) == ("second", "cancel", 1)


def test_a_task_whose_beat_stands_still_for_the_lease_is_abandoned(workspace: Workspace, clock: Clock) -> None:
    dead, living = Claims(workspace, "dead"), Claims(workspace, "living", LEASE_S, clock=clock)
    workspace.enqueue("job", "a")
    task = taken(dead)
    assert living.claim(["job"]) is None  # sees it for the first time
    clock.at_s = 19.9
    assert living.claim(["job"]) is None
    dead.renew(task)
    clock.at_s = 20.1
    assert living.claim(["job"]) is None  # it has moved: the lease begins anew
    clock.at_s = 40.0
    assert living.claim(["job"]) is None
    clock.at_s = 40.2
    found = taken(living)
    assert (found.id, found.owner, found.attempts, found.claim) == ("a", "living", 2, 2)
    for act in (dead.renew, dead.finish, dead.give_back):
        with pytest.raises(LeaseLostError):
            act(task)
    assert living.renew(found) == found


def test_a_lease_runs_out_whatever_else_is_asked_for_meanwhile(workspace: Workspace, clock: Clock) -> None:
    workspace.enqueue("job", "a", memory_bytes=10)
    taken(Claims(workspace, "dead"))
    observer = Claims(workspace, "observer", LEASE_S, clock=clock)
    assert observer.claim(["job"]) is None
    for at_s in (5, 10, 15, 25):
        clock.at_s = at_s
        assert observer.claim(["batch"]) is None
        assert observer.claim(["job"], free_bytes=9) is None
    assert taken(observer, free_bytes=10).id == "a"


def test_an_abandoned_task_goes_before_those_that_were_queued_after_it(workspace: Workspace, clock: Clock) -> None:
    for id, priority in [("a", 0), ("b", 0), ("c", 1)]:
        workspace.enqueue("job", id, priority=priority)
    assert taken(Claims(workspace, "dead")).id == "c"
    dead = taken(Claims(workspace, "dead"))
    assert dead.id == "a"
    observer = Claims(workspace, "observer", LEASE_S, clock=clock)
    assert observer.claim(["batch"]) is None
    clock.at_s = 21
    assert [taken(observer).id for _ in range(3)] == ["c", "a", "b"]


def test_where_others_are_quicker_with_the_first_the_next_are_looked_at(
    workspace: Workspace, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        workspace.enqueue("job", f"job-{number:02}")
    quicker, original = Claims(workspace, "quicker"), claims._take

    def beaten(row: Any) -> Task | None:
        if row.id <= "job-17":
            assert quicker._take(row) is not None
        return original(row)

    monkeypatch.setattr(claims, "_take", beaten)
    assert taken(claims).id == "job-18"


def test_the_wall_clock_has_no_part_in_leases(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    worker, observer = Claims(workspace, "worker"), Claims(workspace, "observer", LEASE_S, clock=clock)
    workspace.enqueue("job", "a")
    task = taken(worker)
    for wall_s in (4e9, 0.0, 2e9):  # forward by decades, back to 1970
        monkeypatch.setattr(time, "time", lambda wall_s=wall_s: wall_s)
        assert observer.claim(["job"]) is None
        worker.renew(task)


def test_clocks_of_different_machines_may_differ(workspace: Workspace) -> None:
    ahead, behind = Clock(1e9), Clock(-1e9)
    first = Claims(workspace, "first", LEASE_S, clock=ahead)
    second = Claims(workspace, "second", LEASE_S, clock=behind)
    workspace.enqueue("job", "a")
    task = taken(first)
    assert second.claim(["job"]) is None
    behind.at_s += 10
    first.renew(task)
    assert second.claim(["job"]) is None
    behind.at_s += 19
    assert second.claim(["job"]) is None
    behind.at_s += 1.5
    assert taken(second).owner == "second"


def test_of_two_that_find_one_abandoned_only_one_takes_it(workspace: Workspace, clock: Clock) -> None:
    workspace.enqueue("job", "a")
    taken(Claims(workspace, "dead"))
    observers = [Claims(workspace, name, LEASE_S, clock=clock) for name in ("x", "y")]
    assert [each.claim(["job"]) for each in observers] == [None, None]
    clock.at_s = 30
    assert taken(observers[0]).owner == "x"
    assert observers[1].claim(["job"]) is None


@given(
    workers=st.integers(1, 4),
    tasks=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=12),
)
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_task_goes_to_one_of_many_claimers(
    workspace: Workspace, workers: int, tasks: list[tuple[int, int]]
) -> None:
    kind = new_id("kind")
    for number, (priority, memory_bytes) in enumerate(tasks):
        workspace.enqueue(kind, f"{kind}-{number}", priority=priority, memory_bytes=memory_bytes)
    got: list[str] = []

    def work(name: str) -> None:
        claims = Claims(workspace, name)
        while (task := claims.claim([kind], free_bytes=2)) is not None:
            got.append(task.id)
            claims.renew(task)
            claims.finish(task)

    threads = [threading.Thread(target=work, args=[f"worker-{number}"]) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fitting = [f"{kind}-{number}" for number, (_, memory_bytes) in enumerate(tasks) if memory_bytes <= 2]
    assert Counter(got) == Counter(fitting)


WORK = """
import sys
from tunewright.store import Claims, Workspace
workspace = Workspace.open(sys.argv[1])
claims = Claims(workspace, sys.argv[2])
while (task := claims.claim(["job"])) is not None:
    claims.finish(claims.renew(task))
    print(task.id)
"""


def test_each_task_goes_to_one_of_several_processes(workspace: Workspace) -> None:
    for number in range(16):
        workspace.enqueue("job", f"job-{number}")
    said = [ended(process) for process in [program(WORK, workspace.root, name) for name in ("a", "b")]]
    got = [id for lines in said for id in lines.split()]
    assert Counter(got) == Counter(f"job-{number}" for number in range(16))


def test_a_killed_workers_task_goes_on(workspace: Workspace, tmp_path: Path) -> None:
    code = """
    import sys, time
    from pathlib import Path
    from tunewright.store import Claims, Workspace
    claims = Claims(Workspace.open(sys.argv[1]), "killed")
    task = claims.claim(["job"])
    claims.renew(task)
    Path(sys.argv[2]).touch()
    time.sleep(60)
    """
    workspace.enqueue("job", "a")
    killed_at(program(code, workspace.root, tmp_path / "at work"), tmp_path / "at work")
    assert workspace.task("a").owner == "killed"
    observer = Claims(workspace, "observer", lease_s=0.2)
    assert observer.claim(["job"]) is None
    time.sleep(0.25)
    task = taken(observer)
    assert (task.id, task.attempts) == ("a", 2)
