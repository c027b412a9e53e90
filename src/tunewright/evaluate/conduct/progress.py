"""Stages within a probe, each told from its beginning to its end under one name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tunewright.base.events import Event, Listener, Stage


@contextmanager
def stage(listener: Listener, name: str) -> Iterator[Listener]:
    """Tells that a stage begins and, once all went well, that it has ended.

    Gives a listener for the work inside: whatever stages that tells of are progress of this one.
    """
    latest = Stage(name, "started")
    listener(latest)

    def hear(event: Event) -> None:
        nonlocal latest
        if isinstance(event, Stage):
            event = latest = replace(event, name=name, status="progress")
        listener(event)

    yield hear
    listener(replace(latest, status="finished", done=latest.total, note=""))
