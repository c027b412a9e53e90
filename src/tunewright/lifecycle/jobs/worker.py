"""The worker: claims tasks, has each done in a process of its own, and lets what is asked of them reach it.

Any number of workers may use one workspace. A task that its worker no longer renews, since it was killed or its machine
is gone, is claimed by another one after the lease, and goes on from what its process had written.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from tunewright.base.errors import DatabaseAwayError, DiskFullError, LeaseLostError, TunewrightError
from tunewright.lifecycle.jobs.desk import KINDS, Desk, Setup, come_so_far, give_up, is_light, reason_of, recover
from tunewright.lifecycle.jobs.hands import Hand, ProcessHand, ThreadHand
from tunewright.lifecycle.jobs.process import DONE, LATER, STOPPED
from tunewright.store import Workspace
from tunewright.store.queue import LEASE_S, Claims, Task

POLL_S = 0.2
# How often the queue is looked through for work of this worker's own, and for abandoned tasks.
_RECOVER_EVERY_S = 60.0
_WAIT_S = 10.0  # before anything is claimed again, once a task could not go on for now
_LAST_STEP_S = 600.0  # that a process may take for its last step and checkpoint
# A process that dies so often without having come further than before will not come further.
_MOST_FAILURES = 5
# A task whose workers die under it: they run out of memory, perhaps, with all that they work on.
_MOST_CLAIMS = 100


@dataclass(frozen=True, slots=True)
class Said:
    """What a worker tells of a task: `claimed`, `stopping`, `done`, `given back`, `failed`, `lost`, or a sentence."""

    what: str
    task: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.task}: {self.what}" if self.task else self.what


@dataclass
class _Working:
    """A task under way."""

    task: Task
    hand: Hand
    renewed_at: float
    asked: str = ""
    failures: int = 0
    so_far: object = None
    stopping_since: float | None = None


@dataclass
class Worker:
    """A worker; `step` again and again keeps it going.

    Args:
        workspace: Whose tasks it does.
        kinds: Of which kinds; by default all that there are.
        concurrency: How many tasks at a time, light ones not counted.
        memory_bytes: What they may take together, as foreseen. One alone always runs: whether it fits is for its plan.
        setup: For all tasks.
        lease_s: After how long a worker that says nothing has lost its tasks.
        listener: Hears what becomes of them.
    """

    workspace: Workspace
    kinds: Collection[str] = ()
    concurrency: int = 1
    memory_bytes: int = 1 << 60
    setup: Setup = field(default_factory=Setup)
    lease_s: float = LEASE_S
    listener: Callable[[Said], None] = lambda said: None

    def __post_init__(self) -> None:
        names = tuple(self.kinds) or KINDS.names()
        self._light = [name for name in names if is_light(name)]
        self._heavy = [name for name in names if name not in self._light]
        self._claims = Claims(self.workspace, f"{socket.gethostname()}:{os.getpid()}", self.lease_s)
        self._working: dict[str, _Working] = {}
        self._desk = Desk(self.workspace, self.setup)
        self._not_before = 0.0
        self._recovered_at = -_RECOVER_EVERY_S

    @property
    def is_busy(self) -> bool:
        """Whether it works on something."""
        return bool(self._working)

    def step(self) -> None:
        """Looks after what is under way, and claims what else it can do. Takes no longer than the database does."""
        try:
            for working in list(self._working.values()):
                self._look_after(working)
            if time.monotonic() - self._recovered_at >= _RECOVER_EVERY_S:
                recover(self.workspace)
                self._recovered_at = time.monotonic()
            if time.monotonic() >= self._not_before:
                self._claim()
        except (DatabaseAwayError, DiskFullError) as error:
            self.listener(Said(f"{error} Trying again in {_WAIT_S:.0f} s."))
            self._not_before = time.monotonic() + _WAIT_S

    def has_work(self) -> bool:
        """Whether anything is under way, or waits for a worker."""
        return self.is_busy or bool(self.workspace.tasks([*self._light, *self._heavy], states=["queued", "running"]))

    def stop(self) -> None:
        """Has what is under way stop with a checkpoint, and gives it back for others to go on with."""
        for working in self._working.values():
            working.stopping_since = time.monotonic()
            working.hand.stop("leave")
        while self._working:
            for working in list(self._working.values()):
                if time.monotonic() - (working.stopping_since or 0.0) > _LAST_STEP_S:
                    working.hand.kill()
                try:
                    self._look_after(working)
                except (DatabaseAwayError, DiskFullError) as error:
                    self.listener(Said(str(error)))
                    if working.hand.ended() is not None:
                        del self._working[working.task.id]  # its lease runs out, and another goes on with it
            time.sleep(POLL_S)

    def _claim(self) -> None:
        """Claims light tasks as they come, and heavy ones as long as there is room."""
        while self._light and (task := self._claims.claim(self._light)):
            self._begin(task)
        while (task := self._claim_heavy()) is not None:
            self._begin(task)

    def _claim_heavy(self) -> Task | None:
        under_way = [each.task.memory_bytes for each in self._working.values() if each.task.kind in self._heavy]
        if not self._heavy or len(under_way) >= self.concurrency:
            return None
        free = self.memory_bytes - sum(under_way) if under_way else None
        return self._claims.claim(self._heavy, free_bytes=free)

    def _begin(self, task: Task) -> None:
        if before := self._working.pop(task.id, None):
            before.hand.kill()  # this worker was held up for so long that its own task counted as abandoned
        if task.attempts > _MOST_CLAIMS:
            why = f"Its workers have died {task.attempts - 1} times while they worked on it."
            give_up(task, self._desk, why)
            self._claims.finish(task)
            self._say("failed", task)
            return
        working = _Working(task, self._start(task), time.monotonic(), so_far=come_so_far(task, self.workspace))
        self._working[task.id] = working
        self._say("claimed", task)

    def _start(self, task: Task) -> Hand:
        if task.kind in self._light:
            return ThreadHand(task, self._desk)
        return ProcessHand(task, self.workspace, self.setup)

    def _look_after(self, working: _Working) -> None:
        code = working.hand.ended()
        try:
            if code is not None:
                self._settle(working, code)
                return
            now = time.monotonic()
            if now - working.renewed_at >= self.lease_s / 5:
                working.task = self._claims.renew(working.task)
                working.renewed_at = now
            self._pass_on(working)
        except LeaseLostError as error:
            working.hand.kill()
            del self._working[working.task.id]
            self._say(f"lost ({error.what})", working.task)

    def _pass_on(self, working: _Working) -> None:
        """Passes on what is wanted of a task, once."""
        wanted = self.workspace.task(working.task.id).wanted
        if wanted and not working.asked:
            working.asked, working.stopping_since = wanted, time.monotonic()
            working.hand.stop(wanted)
            self._say(f"stopping ({wanted})", working.task)
        if working.stopping_since is not None and time.monotonic() - working.stopping_since > _LAST_STEP_S:
            working.hand.kill()

    def _settle(self, working: _Working, code: int) -> None:
        """What becomes of a task whose process has ended."""
        task = working.task
        if code not in (DONE, STOPPED, LATER) and working.stopping_since is None:
            self._failed(working, code)
            return
        # Only now, so that a database that is away leaves it under way, and it is settled later.
        if code == DONE or (code != LATER and reason_of(self.workspace.task(task.id)) == "cancel"):
            self._claims.finish(task)
            self._say("done", task)
        else:
            self._claims.give_back(task)
            self._say("given back", task)
        if code == LATER:
            self._not_before = time.monotonic() + _WAIT_S
        del self._working[task.id]

    def _failed(self, working: _Working, code: int) -> None:
        """A process died: it is started again, unless that has been in vain too often."""
        task, so_far = working.task, come_so_far(working.task, self.workspace)
        moved = so_far is not None and so_far != working.so_far
        failures = 1 if moved else working.failures + 1
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        if failures < _MOST_FAILURES:
            hand = self._start(task)
            self._working[task.id] = replace(working, hand=hand, failures=failures, so_far=so_far)
            self._say(f"started again: its process ended with {cause}", task)
            return
        give_up(task, self._desk, f"Its process has ended {failures} times without getting further ({cause}).")
        self._claims.finish(task)
        del self._working[task.id]
        self._say("failed", task)

    def _say(self, what: str, task: Task) -> None:
        self.listener(Said(what, task.id, task.kind))


def work(
    workspace: Workspace,
    kinds: Collection[str] = (),
    *,
    concurrency: int = 1,
    memory_bytes: int = 1 << 60,
    setup: Setup | None = None,
    lease_s: float = LEASE_S,
    until: Callable[[Worker], bool] = lambda worker: False,
    listener: Callable[[Said], None] = lambda said: None,
) -> None:
    """Claims and does tasks until told otherwise, or Ctrl-C; then what is under way is given back, with checkpoints.

    Args:
        until: Asked again and again whether to end.
        others: As `Worker` has them.
    """
    worker = Worker(workspace, kinds, concurrency, memory_bytes, setup or Setup(), lease_s, listener)
    try:
        while not until(worker):
            worker.step()
            time.sleep(POLL_S)
    finally:
        worker.stop()


def is_idle(worker: Worker) -> bool:
    """Whether nothing is left to do, of this worker or any other."""
    try:
        return not worker.has_work()
    except TunewrightError:
        return False
