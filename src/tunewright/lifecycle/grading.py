"""What graders are given on this machine: models to ask, the text encoder, and leave to run programs or none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tunewright.base.errors import BusyError
from tunewright.evaluate.graders import Ask, Kit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tunewright.lifecycle.jobs.desk import Desk
    from tunewright.lifecycle.serving.fleet import Fleet
    from tunewright.models.encoder import Encoder
    from tunewright.store import Workspace

T = TypeVar("T")

_LONGEST_PAUSE_S = 5.0


def grading_kit(workspace: Workspace, ask: Ask | None, *, runs_python: bool) -> Kit:
    """The kit of graders that may ask models, compare meanings by the embedded encoder, and run programs if allowed."""
    return Kit(ask=ask, embed=_Embedding(workspace), runs_python=runs_python)


def asker(fleet: Fleet, project: str) -> Ask:
    """Asks a fleet's models as a client of a project would, and waits where they are busy."""

    def ask(body: Mapping[str, Any]) -> Mapping[str, Any]:
        from tunewright.lifecycle.serving.asking import ask_chat

        return patiently(lambda: ask_chat(fleet, body, project=project).body)

    return ask


def patiently(ask: Callable[[], T]) -> T:
    """Asks until there is a place: work that nobody waits for lets others go first."""
    while True:
        try:
            return ask()
        except BusyError as busy:
            time.sleep(min(busy.retry_after_s, _LONGEST_PAUSE_S))


@contextmanager
def own_fleet(desk: Desk) -> Iterator[Fleet]:
    """The models of a task's process, within the memory that it was given."""
    from tunewright.lifecycle.serving.fleet import Fleet

    fleet = Fleet(desk.workspace, memory_bytes=desk.setup.memory_bytes)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop(0.0)


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
