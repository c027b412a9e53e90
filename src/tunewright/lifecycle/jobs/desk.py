"""What the handler of a task is given, and how it hears that it shall stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from tunewright.base.plugins import Plugins

if TYPE_CHECKING:
    from tunewright.store import Workspace
    from tunewright.store.queue import Task

KINDS = Plugins("kind of task", "tunewright.lifecycle.jobs.kinds")

# Somebody has cancelled the task, or paused it; or this process shall end, and another one goes on with the task.
Reason = Literal["cancel", "pause", "leave"]


class Stopped(KeyboardInterrupt):
    """A task's process shall stop; what was finished is kept.

    No `Exception`, so that a handler which takes whatever goes wrong for an answer does not take this for one.

    Args:
        reason: Why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"The task shall stop ({reason})")
        self.reason: Reason = reason


class Later(Exception):  # noqa: N818 - no error of anybody's
    """A task cannot go on for now (a full disk, a database that is away), and may in a while.

    Args:
        why: In a sentence, for people.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Setup:
    """What whoever starts a worker decides, for all of its tasks.

    Args:
        python_graders: Whether graders may run code.
        memory_bytes: What a task's process may hold of models in memory.
        checkpoint_every_s: Longest time between two checkpoints of a job that trains, in seconds.
    """

    python_graders: bool = False
    memory_bytes: int = 4 << 30
    checkpoint_every_s: float = 60.0

    def as_text(self) -> str:
        """The setup as a process is told it; `from_text` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads back what `as_text` gave."""
        return cls(**json.loads(text))


def never() -> Reason | None:
    """Nobody has asked for anything."""
    return None


def reason_of(task: Task) -> Reason:
    """Why a task's process stops: what was wanted of the task, or else that its worker ends."""
    return task.wanted or "leave"


@dataclass
class Desk:
    """Where a task is worked on, in a process (or, for a light kind, a thread) that has nothing else to do.

    Args:
        workspace: Where everything is kept.
        setup: What the worker was told.
        asked: Why the work shall stop; None while it may go on. Cheap: called as often as one likes.
    """

    workspace: Workspace
    setup: Setup = field(default_factory=Setup)
    asked: Callable[[], Reason | None] = never

    def check(self) -> None:
        """Raises `Stopped` if the work shall stop; called between two pieces of it."""
        reason = self.asked()
        if reason is not None:
            raise Stopped(reason)


def handle(task: Task, desk: Desk) -> None:
    """Does a task, or goes on with it.

    Raises:
        UnknownNameError: If nothing handles tasks of its kind.
        Stopped: If the work shall stop.
        Later: If it cannot go on for now.
    """
    KINDS.call(task.kind, "handle", task, desk)


def give_up(task: Task, desk: Desk, why: str) -> None:
    """Marks a task's record as failed, for a reason that a person reads."""
    KINDS.call(task.kind, "give_up", task, desk, why)


def is_light(kind: str) -> bool:
    """Whether tasks of a kind take little, so that the worker does them itself, and beside all others."""
    return bool(getattr(KINDS.module(kind), "LIGHT", False))


def come_so_far(task: Task, workspace: Workspace) -> object:
    """How far a task has come, as something that can be compared; None where its kind does not tell."""
    return KINDS.call(task.kind, "come_so_far", task, workspace) if KINDS.has(task.kind, "come_so_far") else None


def recover(workspace: Workspace) -> None:
    """Queues what a process that was killed in between has recorded and not queued."""
    for kind in KINDS.names():
        if KINDS.has(kind, "recover"):
            KINDS.call(kind, "recover", workspace)
