"""Edits taken back as soon as they are made: by hand, and over every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.data.steps.frames import frame_of
from tests.data.steps.test_contract import SETTINGS, TEXTS
from tunewright.base.plugins import STEPS
from tunewright.data.clean import clean_frame
from tunewright.data.frame import ROW_ID, StepConfig, StepResult
from tunewright.data.undoing import undo_edits
from tunewright.recipe.undo import Undo

FRAME = frame_of(text=["a  b", "c  d", None, "e"], label=["x  y", "z", "", "w  w"])


def _step(name: str, encoder: Path | None = None, **settings: Any) -> StepConfig:
    if encoder is not None and "encoder" in STEPS.config(name).model_fields:
        settings["encoder"] = str(encoder)
    config = STEPS.config(name).model_validate({"name": name, **settings})
    assert isinstance(config, StepConfig)
    bound = config.bind(["text"], ["label"])
    return bound if encoder is None else bound.at(encoder.parent / "cache")


def _undo(frame: pl.DataFrame, name: str, *undo: Undo, **settings: Any) -> StepResult:
    return undo_edits(frame, clean_frame(frame, _step(name, **settings)), name, undo)


def test_a_rows_cells_come_back_and_others_do_not() -> None:
    result = _undo(FRAME, "whitespace", Undo(row="r1"))
    assert result.frame["text"].to_list() == ["a  b", "c d", None, "e"]
    assert result.frame["label"].to_list() == ["x  y", "z", "", "w w"]
    assert result.edits.select("row_id", "field").rows() == [("r2", "text"), ("r4", "label")]
    assert result.findings["undone"] == 2


def test_a_column_and_a_step() -> None:
    result = _undo(FRAME, "whitespace", Undo(step="whitespace", field="label"))
    assert result.frame["text"].to_list() == ["a b", "c d", None, "e"]
    assert result.frame["label"].to_list() == FRAME["label"].to_list()
    both = _undo(FRAME, "whitespace", Undo(row="r1", field="text"), Undo(row="r4"))
    assert both.frame["text"].to_list() == ["a  b", "c d", None, "e"]
    assert both.frame["label"].to_list() == ["x y", "z", "", "w  w"]


def test_another_steps_undo_changes_nothing() -> None:
    config = _step("whitespace")
    plain = clean_frame(FRAME, config)
    for undo in ([], [Undo(step="unicode")], [Undo(row="r9")], [Undo(step="unicode", row="r1")]):
        result = undo_edits(FRAME, plain, "whitespace", undo)
        assert result.frame.equals(plain.frame)
        assert result.edits.equals(plain.edits)
        assert "undone" not in result.findings


def test_a_dropped_row_comes_back_to_its_place() -> None:
    frame = frame_of(text=["a", "", "b", None, "c"], label=["x"] * 5)
    plain = clean_frame(frame, _step("require", columns=["text"]))
    assert plain.unusable == {"r2", "r4"}
    result = _undo(frame, "require", Undo(row="r2"), columns=["text"])
    assert result.frame[ROW_ID].to_list() == ["r1", "r2", "r3", "r5"]
    assert result.unusable == {"r4"}
    assert result.edits["row_id"].to_list() == ["r4"]
    assert _undo(frame, "require", Undo(step="require"), columns=["text"]).frame.equals(frame)


CASES = [(name, case) for name in STEPS.names() for case in SETTINGS.get(name, [])]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_undo_restores_what_every_step_changed(name: str, case: dict[str, Any], encoder_folder: Path) -> None:
    """All of a step's edits taken back leave the bytes that were there; one row's, that row's."""
    frame = frame_of(text=TEXTS, label=["ab"[number % 2] for number in range(len(TEXTS))])
    config = _step(name, encoder_folder, **case)
    plain = clean_frame(frame, config)
    whole = undo_edits(frame, plain, name, [Undo(step=name)])
    assert whole.frame.equals(frame)
    assert whole.edits.is_empty()
    assert not whole.unusable
    before = {row[ROW_ID]: row for row in frame.to_dicts()}
    after = {row[ROW_ID]: row for row in plain.frame.to_dicts()}
    for row in plain.edits["row_id"].unique():
        result = undo_edits(frame, plain, name, [Undo(row=row)])
        found = {each[ROW_ID]: each for each in result.frame.to_dicts()}
        assert found == {**after, row: before[row]}
        assert list(found) == [each for each in before if each in found]


def test_the_steps_change_something_here(encoder_folder: Path) -> None:
    """Else the test above would prove nothing for them."""
    frame = frame_of(text=TEXTS, label=["ab"[number % 2] for number in range(len(TEXTS))])
    active = {name for name, case in CASES if clean_frame(frame, _step(name, encoder_folder, **case)).edits.height}
    assert active >= {
        "exact_duplicates", "iso_dates", "map_values", "near_duplicates", "redact", "require", "unicode", "whitespace"
    }  # fmt: skip
