"""The queue of long work: tasks that workers, in any number of processes and machines, claim one at a time.

Who works on a task lets its `beat` grow. A task counts as abandoned when an observer has seen the same beat for
`lease_s` of the observer's own monotonic clock: no wall clock, and no other machine's clock, has a part in it. Each
time that a task changes hands its `claim` grows, so that a worker which was thought dead, and comes back, finds that
the task is no longer its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from tunewright.base.errors import InputError, LeaseLostError, NoSuchRecordError
from tunewright.store import tables
from tunewright.store.database import Database

if TYPE_CHECKING:
    from tunewright.store.workspace import Workspace

State = Literal["queued", "running", "paused", "done"]
Wish = Literal["cancel", "pause", "resume"]

LEASE_S = 20.0
# Of those that wait; more are looked at where others take all of these.
_LOOKED_AT = 16


@dataclass(frozen=True)
class Task:
    """A piece of long work, as it was when it was read.

    Args:
        id: That of the record it works on: a job, a batch, an eval's run.
        kind: Which handler works on it.
        owner: The worker that has it, or had it last; empty before the first claim.
        attempts: Claims since it was queued, the present one included, without those that were given back.
        wanted: What its owner is asked to do.
        memory_bytes: What it needs while it runs.
        priority: The higher, the sooner.
        claim: How often it has changed hands.
        seq: Grows with each task that is queued.
    """

    id: str
    kind: str
    state: State
    owner: str
    attempts: int
    wanted: Literal["", "cancel", "pause"]
    memory_bytes: int
    priority: int
    claim: int
    seq: int


def enqueue(database: Database, kind: str, id: str, *, memory_bytes: int, priority: int) -> Task:
    """Queues a task; see `Workspace.enqueue`."""
    tasks = tables.tasks
    fresh = {"kind": kind, "state": "queued", "wanted": "", "attempts": 0}
    fresh |= {"memory_bytes": memory_bytes, "priority": priority}
    with database.write() as connection:
        row = connection.execute(select(tasks).where(tasks.c.id == id)).first()
        if row is None:
            connection.execute(insert(tasks).values(id=id, owner="", claim=0, beat=0, **fresh))
        elif row.kind != kind:
            raise InputError(f"'{id}' is queued as '{row.kind}', not as '{kind}'", where="kind")
        elif row.state == "done":
            connection.execute(update(tasks).where(tasks.c.id == id).values(**fresh))
        return _read(connection, id)


def find(database: Database, id: str) -> Task:
    """One task; see `Workspace.task`."""
    with database.read() as connection:
        return _read(connection, id)


def listed(database: Database, kinds: Collection[str] | None, states: Collection[State] | None) -> list[Task]:
    """Tasks in the order in which they are claimed; see `Workspace.tasks`."""
    tasks = tables.tasks.c
    query = select(tables.tasks).order_by(tasks.priority.desc(), tasks.seq)
    for column, given in ((tasks.kind, kinds), (tasks.state, states)):
        query = query if given is None else query.where(column.in_(list(given)))
    with database.read() as connection:
        return [_task(row) for row in connection.execute(query)]


def ask(database: Database, id: str, wish: Wish) -> Task:
    """Asks for a task's end or rest; see `Workspace.ask`."""
    tasks = tables.tasks
    with database.write() as connection:
        row = connection.execute(select(tasks).where(tasks.c.id == id)).first()
        if row is None:
            raise NoSuchRecordError("task", id)
        if row.state == "done":
            raise InputError(f"The task '{id}' has ended", where=id)
        changed = _granted(row, wish)
        if changed:
            connection.execute(update(tasks).where(tasks.c.id == id).values(**changed))
        return _read(connection, id)


def _granted(row: Row[Any], wish: Wish) -> dict[str, str]:
    """What a wish changes: at once where nobody works on the task, else as soon as its owner looks."""
    if row.wanted == "cancel":
        return {}  # nothing takes that back
    if row.state == "running":
        return {"wanted": "" if wish == "resume" else wish}
    if wish == "cancel":
        return {"state": "done", "wanted": "cancel"}
    return {"state": "paused" if wish == "pause" else "queued"}


class Claims:
    """What one worker claims, and what it has seen of the others' tasks.

    Args:
        owner: The worker's name, such as host and process; shown to people.
        lease_s: How long a task's beat may stand still before it counts as abandoned.
        clock: Seconds that never go back, of this process alone.
    """

    def __init__(
        self,
        workspace: Workspace,
        owner: str,
        lease_s: float = LEASE_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner, self.lease_s = owner, lease_s
        self._database = workspace.database
        self._clock = clock
        # Each running task's claim and beat, and when this worker saw them first.
        self._seen: dict[str, tuple[int, int, float]] = {}

    def claim(self, kinds: Collection[str], *, free_bytes: int | None = None) -> Task | None:
        """Takes the next task of these kinds that waits, or that its owner has abandoned; none if there is none.

        Tasks that need more than `free_bytes` are passed over. To notice abandoned tasks, call it again and again.
        """
        while candidates := self._open(kinds, free_bytes):
            for row in candidates:
                taken = self._take(row)
                if taken is not None:
                    return taken
            # Others were quicker with all of these; there may be more.
        return None

    def renew(self, task: Task) -> Task:
        """Says that the task's owner lives, and reads what is wanted of it. Call it several times in `lease_s`.

        Raises:
            LeaseLostError: If the task has gone to another owner, or has been ended: stop, and write nothing more.
        """
        tasks = tables.tasks
        return self._mine(task, beat=tasks.c.beat + 1)

    def finish(self, task: Task) -> Task:
        """Ends a task, whatever came of it.

        Raises:
            LeaseLostError: If it is no longer this worker's.
        """
        return self._mine(task, state="done")

    def give_back(self, task: Task) -> Task:
        """Lays a task down unfinished: paused if that was wanted, else queued again for any worker.

        Raises:
            LeaseLostError: If it is no longer this worker's.
        """
        tasks = tables.tasks
        with self._database.write() as connection:
            row = connection.execute(select(tasks).where(*self._still(task))).first()
            if row is None:
                raise self._lost(task)
            rests = row.wanted == "pause"
            values = {"state": "paused" if rests else "queued", "wanted": "" if rests else row.wanted}
            connection.execute(update(tasks).where(tasks.c.seq == row.seq).values(**values, attempts=row.attempts - 1))
            return _read(connection, task.id)

    def _open(self, kinds: Collection[str], free_bytes: int | None) -> list[Row[Any]]:
        """The first tasks that might be taken, in the order in which they should be."""
        tasks = tables.tasks.c
        waiting = select(tables.tasks).where(tasks.state == "queued", tasks.kind.in_(list(kinds)))
        if free_bytes is not None:
            waiting = waiting.where(tasks.memory_bytes <= free_bytes)
        with self._database.read() as connection:
            # All of these are watched, whatever may be taken just now: a lease takes a while to run out.
            running = connection.execute(select(tables.tasks).where(tasks.state == "running")).all()
            queued = connection.execute(waiting.order_by(tasks.priority.desc(), tasks.seq).limit(_LOOKED_AT)).all()
        abandoned = self._abandoned(running)
        found = [*queued]
        for row in running:
            fits = free_bytes is None or row.memory_bytes <= free_bytes
            if row.id in abandoned and row.kind in kinds and fits:
                found.append(row)
        return sorted(found, key=lambda row: (-row.priority, row.seq))

    def _abandoned(self, running: Sequence[Row[Any]]) -> set[str]:
        """The ids of those whose beat has stood still for the lease."""
        moment = self._clock()
        before, self._seen = self._seen, {}
        for row in running:
            claim, beat, since = before.get(row.id, (row.claim, row.beat, moment))
            self._seen[row.id] = (row.claim, row.beat, since if (claim, beat) == (row.claim, row.beat) else moment)
        return {id for id, (_, _, since) in self._seen.items() if moment - since >= self.lease_s}

    def _take(self, row: Row[Any]) -> Task | None:
        """Takes a task unless anything about it has changed since it was read."""
        tasks = tables.tasks
        as_read = [getattr(tasks.c, name) == getattr(row, name) for name in ("seq", "state", "claim", "beat", "wanted")]
        mine = {"state": "running", "owner": self.owner, "claim": row.claim + 1, "attempts": row.attempts + 1}
        with self._database.write() as connection:
            if connection.execute(update(tasks).where(*as_read).values(**mine, beat=row.beat + 1)).rowcount == 0:
                return None
            return _read(connection, row.id)

    def _mine(self, task: Task, **values: Any) -> Task:
        with self._database.write() as connection:
            if connection.execute(update(tables.tasks).where(*self._still(task)).values(**values)).rowcount == 0:
                raise self._lost(task)
            return _read(connection, task.id)

    def _still(self, task: Task) -> list[Any]:
        tasks = tables.tasks.c
        return [tasks.id == task.id, tasks.state == "running", tasks.claim == task.claim, tasks.owner == self.owner]

    def _lost(self, task: Task) -> LeaseLostError:
        return LeaseLostError(
            f"The {task.kind} {task.id} is no longer this worker's ({self.owner})",
            hint="Another worker goes on with it from its last checkpoint.",
        )


def _read(connection: Connection, id: str) -> Task:
    row = connection.execute(select(tables.tasks).where(tables.tasks.c.id == id)).first()
    if row is None:
        raise NoSuchRecordError("task", id)
    return _task(row)


def _task(row: Row[Any]) -> Task:
    return Task(
        id=row.id,
        kind=row.kind,
        state=row.state,
        owner=row.owner,
        attempts=row.attempts,
        wanted=row.wanted,
        memory_bytes=row.memory_bytes,
        priority=row.priority,
        claim=row.claim,
        seq=row.seq,
    )
