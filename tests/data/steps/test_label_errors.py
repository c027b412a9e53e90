"""The step that finds likely wrong labels."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.data.inspections.meaning_views import CATS, DOGS, sentences
from tests.data.steps.frames import frame_of
from tunewright.data.frame import ROW_ID, StepResult
from tunewright.data.steps.label_errors import Config, apply, survey

# The thirteenth row about cats is called a dog; two rows cannot be judged.
FRAME = frame_of(
    text=[*sentences(CATS, 40), *sentences(DOGS, 40), None, "a"],
    label=["c"] * 12 + ["d"] + ["c"] * 27 + ["d"] * 40 + ["c", "rare"],
)


def run(frame: pl.DataFrame, config: Config, rows: int) -> list[StepResult]:
    """The step over pieces of so many rows."""
    pieces = [frame[start : start + rows] for start in range(0, frame.height, rows)]
    known = survey(pieces, config)
    return [apply(piece, config, known) for piece in pieces]


@pytest.fixture
def config(encoder_folder: Path, tmp_path: Path) -> Config:
    return Config(encoder=str(encoder_folder)).bind(["text"], ["label"]).at(tmp_path / "cache")


@pytest.mark.parametrize("rows", [1, 50, 82])
def test_a_wrong_label_is_set_aside_with_a_reason(config: Config, rows: int) -> None:
    results = run(FRAME, config, rows)
    kept = pl.concat([result.frame for result in results])
    assert kept[ROW_ID].to_list() == [f"r{number}" for number in range(1, 83) if number != 13]
    edits = pl.concat([result.edits for result in results])
    assert edits["row_id"].to_list() == ["r13"]
    assert edits["reason"][0].startswith("likely 'c' (0.")
    assert "rather than 'd' (0." in edits["reason"][0]
    assert frozenset().union(*(result.unusable for result in results)) == {"r13"}
    assert sum(result.findings["likely_wrong_labels"] for result in results) == 1
    assert sum(result.findings["not_judged"] for result in results) == 2
    again = run(kept, config, rows)
    assert pl.concat([result.frame for result in again]).equals(kept)


def test_dropped_rows_are_not_unusable_and_reported_ones_stay(config: Config) -> None:
    (dropped,) = run(FRAME, config.model_copy(update={"action": "drop"}), 82)
    assert dropped.frame.height == 81
    assert not dropped.unusable
    (told,) = run(FRAME, config.model_copy(update={"action": "report"}), 82)
    assert told.frame.equals(FRAME)
    assert told.edits.is_empty()
    assert told.findings["likely_wrong_labels"] == 1
