"""Rows that lack a column are set aside, and the reason names it."""

from __future__ import annotations

import pytest

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.require import Config, apply


def test_empty_cells() -> None:
    frame = frame_of(a=["x", None, " "], b=["y", "y", ""])
    result = apply(frame, Config(columns=("a", "b")))
    assert result.frame[ROW_ID].to_list() == ["r1"]
    assert result.edits["reason"].to_list() == ["empty: a", "empty: a, b"]
    assert result.edits["before"].to_list() == ['{"a":null,"b":"y"}', '{"a":" ","b":""}']
    assert result.unusable == {"r2", "r3"}


def test_an_unknown_column() -> None:
    with pytest.raises(DataError, match=r"step require: The column 'aa' is not there. Did you mean 'a'\?"):
        apply(frame_of(a=["x"]), Config(columns=("aa",)))
