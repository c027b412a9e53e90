"""Rows out of bounds go, and the reason says by how much."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.length import Config, apply

FRAME = frame_of(t=["one two three", "one", None, "  ", "a" * 20], u=["x", "x", "x", "x", ""])


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"least_words": 1}, ["r1", "r2", "r5"]),
        ({"least_words": 2, "most_words": 3}, ["r1"]),
        ({"most_characters": 13}, ["r1", "r2", "r3", "r4"]),
        ({"most_characters": 12, "least_characters": 3}, ["r2"]),
        ({"columns": ["t", "u"], "least_characters": 1}, ["r1", "r2"]),
    ],
)
def test_bounds(settings: dict[str, object], kept: list[str]) -> None:
    result = apply(FRAME, Config.model_validate({"columns": ["t"], **settings}))
    assert result.frame[ROW_ID].to_list() == kept
    assert result.findings["rows_set_aside"] == 5 - len(kept) == len(result.unusable)


def test_reasons() -> None:
    result = apply(FRAME, Config(columns=("t", "u"), least_words=2, most_characters=5))
    assert result.edits["reason"].to_list() == [
        "t: 13 characters, most 5; u: 1 words, least 2",
        "t: 1 words, least 2; u: 1 words, least 2",
        "t: 0 words, least 2; u: 1 words, least 2",
        "t: 0 words, least 2; u: 1 words, least 2",
        "t: 1 words, least 2; t: 20 characters, most 5; u: 0 words, least 2",
    ]


@pytest.mark.parametrize("settings", [{}, {"least_words": 3, "most_words": 2}])
def test_bounds_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="length"):
        Config.model_validate(settings)
