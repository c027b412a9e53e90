"""What graders are given on this machine: models to ask, the text encoder, and leave to run programs or none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tunewright.base.errors import BusyError, DatabaseAwayError, DataError, DiskFullError
from tunewright.evaluate.graders import Ask, Kit
from tunewright.lifecycle.jobs.desk import Later

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tunewright.lifecycle.jobs.desk import Desk
    from tunewright.lifecycle.serving.fleet import Fleet
    from tunewright.models.encoder import Encoder
    from tunewright.store import Workspace

T = TypeVar("T")

_LONGEST_PAUSE_S = 5.0


class WorkTakenError(DataError):
    """Another process still works on a task: one that was thought dead, and has not noticed yet."""


def grading_kit(workspace: Workspace, ask: Ask | None, *, runs_python: bool) -> Kit:
    """The kit of graders that may ask models, compare meanings by the embedded encoder, and run programs if allowed."""
    return Kit(ask=ask, embed=_Embedding(workspace), runs_python=runs_python)


def asker(fleet: Fleet, project: str, patience: Patience | None = None) -> Ask:
    """Asks a fleet's models as a client of a project would.

    Args:
        patience: Waits where models are busy; None: who asks is told so.
    """

    def ask(body: Mapping[str, Any]) -> Mapping[str, Any]:
        from tunewright.lifecycle.serving.asking import ask_chat

        def once() -> Mapping[str, Any]:
            return ask_chat(fleet, body, project=project).body

        return once() if patience is None else patience.ask(once)

    return ask


class Patience:
    """Asks until there is an answer: work that nobody waits for lets others go first, and a database come back."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def ask(self, question: Callable[[], T]) -> T:
        """The answer, as soon as there is a place for the question.

        Raises:
            BusyError: If there is none, and it is over.
        """
        while True:
            try:
                return question()
            except (BusyError, DatabaseAwayError) as error:
                pause_s = getattr(error, "retry_after_s", _LONGEST_PAUSE_S)
                if self._over.wait(min(pause_s, _LONGEST_PAUSE_S)):
                    raise

    def end(self) -> None:
        """Lets those who wait go."""
        self._over.set()


@contextmanager
def models_of(workspace: Workspace, memory_bytes: int) -> Iterator[tuple[Fleet, Patience]]:
    """The models of this process, within so much memory, while open."""
    from tunewright.lifecycle.serving.fleet import Fleet

    fleet, patience = Fleet(workspace, memory_bytes=memory_bytes), Patience()
    fleet.start()
    try:
        yield fleet, patience
    finally:
        patience.end()
        fleet.stop(0.0)


@contextmanager
def own_models(desk: Desk) -> Iterator[tuple[Fleet, Patience]]:
    """The models of a task's process, within the memory that it was given.

    Raises:
        Later: If the work inside cannot go on for now.
    """
    try:
        with models_of(desk.workspace, desk.setup.memory_bytes) as models:
            yield models
    except (DatabaseAwayError, DiskFullError, WorkTakenError) as error:
        raise Later(str(error)) from error


class _Embedding:
    """The text encoder, loaded where the first text asks for it, by one thread."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._lock = workspace, threading.Lock()
        self._encoder: Encoder | None = None

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from tunewright.models.catalog import ENCODER
        from tunewright.models.encoder import Encoder, find_encoder

        with self._lock:
            if self._encoder is None:
                self._encoder = Encoder.load(find_encoder(ENCODER, self._workspace.cache))
            return self._encoder.encode(texts)
