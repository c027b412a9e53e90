"""Placeholders are emptied; what is empty stays, goes or is filled."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.missing_values import Config, apply

FRAME = frame_of(t=["yes", "N/A", " tbd ", "-", None, "", "none", "n/a of them", "?"])


def test_placeholders_become_null() -> None:
    result = apply(FRAME, Config(columns=("t",)))
    assert result.frame["t"].to_list() == ["yes", None, None, None, None, "", "none", "n/a of them", None]
    assert result.findings == {"placeholders": 4, "cells_filled": 0, "rows_set_aside": 0}
    assert result.edits.row(0, named=True) == {
        "row_id": "r2", "field": "t", "before": "N/A", "after": None, "reason": "stands for nothing",
    }  # fmt: skip


def test_or_empty() -> None:
    result = apply(FRAME, Config(columns=("t",), become="empty"))
    assert result.frame["t"].to_list() == ["yes", "", "", "", None, "", "none", "n/a of them", ""]


def test_rows_without_a_value_go() -> None:
    result = apply(FRAME, Config(columns=("t",), then="drop"))
    assert result.frame[ROW_ID].to_list() == ["r1", "r7", "r8"]
    assert result.unusable == {"r2", "r3", "r4", "r5", "r6", "r9"}
    assert set(result.edits.filter(result.edits["field"].is_null())["reason"]) == {"no value: t"}


def test_filled() -> None:
    result = apply(FRAME, Config(columns=("t",), then="fill", fill="unknown"))
    assert result.frame["t"].to_list() == ["yes", *["unknown"] * 5, "none", "n/a of them", "unknown"]
    assert result.findings["cells_filled"] == 6


def test_own_placeholders() -> None:
    result = apply(FRAME, Config(columns=("t",), placeholders=("None",)))
    assert result.frame["t"].to_list()[6] is None
    assert result.frame["t"].to_list()[1] == "N/A"


@pytest.mark.parametrize("fill", ["", "  ", "n/A", "-"])
def test_a_fill_that_says_nothing_is_refused(fill: str) -> None:
    with pytest.raises(ValidationError, match="no placeholder itself"):
        Config(then="fill", fill=fill)
