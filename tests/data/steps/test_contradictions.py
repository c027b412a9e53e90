"""One prompt with several answers: the majority's rows stay, or the newest, or none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError
from tunewright.data.clean import clean_frame
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.contradictions import Config

FRAME = frame_of(
    text=["hi", "Hi ", "HI", "tie", "tie", "alone", "same", "same", None, None],
    label=["a", "a", "b", "x", "y", "a", "s", "S", "p", "q"],
    day=["2024-01-01", "2024-01-02", "2024-05-01", "2024-03-01", None, "", "2024-01-01", "2024-01-01", "", ""],
)
ALWAYS = ["r6", "r7", "r8", "r9", "r10"]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"keep": "none"}, []),
        ({"keep": "majority"}, ["r1", "r2"]),
        ({"keep": "newest"}, ["r3", "r5"]),
        ({"keep": "newest", "newest_by": "day"}, ["r3", "r4"]),
        ({"keep": "all"}, ["r1", "r2", "r3", "r4", "r5"]),
    ],
)
def test_which_rows_stay(settings: dict[str, str], kept: list[str]) -> None:
    config = Config.model_validate(settings).bind(["text"], ["label"])
    result = clean_frame(FRAME, config)
    assert result.frame[ROW_ID].to_list() == [*kept, *ALWAYS]
    assert result.findings == {"contradicted_rows": 5, "rows_set_aside": 5 - len(kept)}
    assert result.unusable == {"r1", "r2", "r3", "r4", "r5"} - set(kept)


def test_reasons() -> None:
    result = clean_frame(FRAME, Config().bind(["text"], ["label"]))
    assert result.edits["reason"].to_list() == [
        "2 different answers to this text; most have another",
        "2 different answers to this text; none has a majority",
        "2 different answers to this text; none has a majority",
    ]


def test_the_newest_of_one_day_are_a_tie() -> None:
    frame = frame_of(text=["a", "a"], label=["x", "y"], day=["2024-01-01", "2024-01-01T10:00:00"])
    config = Config(keep="newest", newest_by="day").bind(["text"], ["label"])
    assert clean_frame(frame, config).frame.is_empty()


@pytest.mark.parametrize("day", ["03/04/2024", "2024-13-01", "soon"])
def test_dates_that_are_none_are_refused(day: str) -> None:
    frame = frame_of(text=["a", "a"], label=["x", "y"], day=["2024-01-01", day])
    with pytest.raises(DataError, match=f"'{day}' is no ISO date.*iso_dates"):
        clean_frame(frame, Config(keep="newest", newest_by="day").bind(["text"], ["label"]))


def test_a_date_without_use_is_refused() -> None:
    with pytest.raises(ValidationError, match="of use only with keep: newest"):
        Config(newest_by="day")
