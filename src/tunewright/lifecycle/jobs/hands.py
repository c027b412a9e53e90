"""What works on a task for a worker: a process of its own, or, where the task is light, a thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Protocol

from tunewright.lifecycle.jobs.desk import Desk, Reason, Setup
from tunewright.lifecycle.jobs.process import work
from tunewright.store import Workspace
from tunewright.store.queue import Task


class Hand(Protocol):
    """Something that works on one task."""

    def ended(self) -> int | None:
        """The exit code; None while it works. A signal's is negative."""
        ...

    def stop(self, reason: Reason) -> None:
        """Asks it to stop with what it has."""
        ...

    def kill(self) -> None:
        """Ends it at once where that can be; whatever it does from here on counts for nothing."""
        ...


class ProcessHand:
    """A process."""

    def __init__(self, task: Task, workspace: Workspace, setup: Setup) -> None:
        arguments = [task.id, str(workspace.root), setup.as_text(), str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 - no shell, and ids that this workspace gave
            [sys.executable, "-m", "tunewright.lifecycle.jobs.process", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # A Ctrl-C in the worker's terminal is the worker's to pass on, once.
            start_new_session=True,
        )

    @property
    def id(self) -> int:
        """The process's id."""
        return self._process.pid

    def ended(self) -> int | None:
        return self._process.poll()

    def stop(self, reason: Reason) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class ThreadHand:
    """A thread of the worker's own process."""

    def __init__(self, task: Task, desk: Desk) -> None:
        self._reason: Reason | None = None
        self._code: int | None = None
        self._desk = replace(desk, asked=lambda: self._reason)
        self._thread = threading.Thread(target=self._work, args=(task,), name=f"tunewright-{task.kind}", daemon=True)
        self._thread.start()

    def _work(self, task: Task) -> None:
        code = 1
        try:
            code = work(task, self._desk)
        finally:
            self._code = code

    def ended(self) -> int | None:
        return self._code

    def stop(self, reason: Reason) -> None:
        self._reason = reason

    def kill(self) -> None:
        self._reason = "leave"
