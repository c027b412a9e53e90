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


@dataclass(frozen=True, slots=True)
class Setup:
    """What whoever starts a worker decides, for all of its tasks.

    Args:
        organization: Under which jobs and model names are filed.
        python_graders: Whether graders may run code.
        memory_bytes: What a task's process may hold of models in memory.
    """

    organization: str = "tunewright"
    python_graders: bool = False
    memory_bytes: int = 4 << 30

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


@dataclass
class Desk:
    """Where a task is worked on, in a process that has nothing else to do.

    Args:
        workspace: Where everything is kept.
        setup: What the worker was told.
        asked: Why the process shall stop; None while it may go on. Cheap: called as often as one likes.
    """

    workspace: Workspace
    setup: Setup = field(default_factory=Setup)
    asked: Callable[[], Reason | None] = never

    def check(self) -> None:
        """Raises `Stopped` if the task's process shall stop; called between two pieces of work."""
        reason = self.asked()
        if reason is not None:
            raise Stopped(reason)


def handle(task: Task, desk: Desk) -> None:
    """Does a task, or goes on with it.

    Raises:
        UnknownNameError: If nothing handles tasks of its kind.
        Stopped: If the process shall stop.
    """
    KINDS.call(task.kind, "handle", task, desk)


def give_up(task: Task, desk: Desk, why: str) -> None:
    """Marks a task's record as failed, for a reason that a person reads."""
    KINDS.call(task.kind, "give_up", task, desk, why)
