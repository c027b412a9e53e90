"""The one stream that everything watching a run reads: progress bar, database, report, API.

Code that works for more than two seconds takes a `listener` and tells it what happens. Events are small, frozen and
JSON-ready, so that a run can append them to the workspace as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunewright.base.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Message:
    """Something a person should read."""

    text: str
    level: Literal["info", "warning", "error"] = "info"
    kind: Literal["message"] = "message"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage began, moved on, or ended. `done` and `total` count `unit`s; `total` 0 means unknown."""

    name: str
    status: Literal["started", "progress", "finished", "skipped"]
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    kind: Literal["stage"] = "stage"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Numbers measured at one step of a stage."""

    stage: str
    step: int
    total: int
    values: dict[str, float] = field(default_factory=dict)
    kind: Literal["metrics"] = "metrics"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact now exists."""

    artifact_kind: str
    hash: str
    path: str
    kind: Literal["artifact"] = "artifact"


Event = Message | Stage | Metrics | Artifact
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that hears nothing."""


def renamed(listener: Listener, names: Mapping[str, str]) -> Listener:
    """A listener that hears stages under other names, by their own."""

    def hear(event: Event) -> None:
        if isinstance(event, Stage):
            event = dataclasses.replace(event, name=names.get(event.name, event.name))
        listener(event)

    return hear


def as_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object, `kind` included."""
    return dataclasses.asdict(event)


def from_json(value: Mapping[str, Any]) -> Event:
    """The event behind a JSON object that `as_json` made.

    Raises:
        UnknownNameError: If its kind is not one of the four.
    """
    kinds = {"message": Message, "stage": Stage, "metrics": Metrics, "artifact": Artifact}
    if value["kind"] not in kinds:
        raise UnknownNameError("event kind", value["kind"], kinds)
    event: Event = kinds[value["kind"]](**value)
    return event
