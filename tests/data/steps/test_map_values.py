"""Spellings become canonical values; unknown ones stay or go."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.map_values import Config, apply

MAPPING = {"kaputt": "Broken", "does not work": "Broken"}


def test_case_and_white_space_do_not_count() -> None:
    frame = frame_of(t=["KAPUTT", " does  not work", "broken", "Broken", None, "other"])
    kept = apply(frame, Config(column="t", mapping=MAPPING))
    assert kept.frame["t"].to_list() == ["Broken", "Broken", "Broken", "Broken", None, "other"]
    assert kept.findings == {"cells_changed": 3, "unknown_values": 1}
    dropped = apply(frame, Config(column="t", mapping=MAPPING, unknown="drop"))
    assert dropped.frame[ROW_ID].to_list() == ["r1", "r2", "r3", "r4", "r5"]
    assert dropped.unusable == {"r6"}


@pytest.mark.parametrize("mapping", [{}, {"a": "b", "b": "c"}, {"a": "b", "A ": "c"}, {"x": "Card", "y": "card"}])
def test_mappings_without_one_answer_are_refused(mapping: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Config(column="t", mapping=mapping)
