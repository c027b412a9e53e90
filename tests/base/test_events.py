from __future__ import annotations

import dataclasses
import json

import pytest

from tunewright.base.errors import UnknownNameError
from tunewright.base.events import Artifact, Event, Message, Metrics, Stage, as_json, from_json, ignore

EVENTS: list[Event] = [
    Message("12 rows refused", "warning"),
    Stage("train", "progress", 3, 10, "step", "4.1/s"),
    Metrics("train", 3, 10, {"loss": 0.5}),
    Artifact("adapter", "ab12", "/somewhere"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_goes_through_json_and_back(event: Event) -> None:
    assert from_json(json.loads(json.dumps(as_json(event)))) == event
    assert as_json(event)["kind"] == event.kind
    ignore(event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_is_frozen(event: Event) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.kind = "other"  # type: ignore[misc,assignment]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'message'"):
        from_json({"kind": "mesage", "text": "hello"})
