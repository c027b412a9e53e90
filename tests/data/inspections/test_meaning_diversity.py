"""Diversity by meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.inspections.meaning_views import CATS, rows_of, sentences, view_of
from tunewright.data.inspections.meaning_diversity import Config, inspect
from tunewright.data.quality.inspection import Inspection


def test_one_thing_over_and_over_is_one_meaning(encoder_folder: Path, tmp_path: Path) -> None:
    config = Config(encoder=str(encoder_folder))
    same = inspect(view_of(rows_of("f", ["the zebra sat"] * 120, ["x"] * 120), cache=tmp_path), config)
    assert isinstance(same, Inspection)
    assert same.value == pytest.approx(1, abs=1e-3)
    assert same.verdict == "act"
    several = inspect(view_of(rows_of("f", sentences(CATS, 90), ["x"] * 90), cache=tmp_path), config)
    assert isinstance(several, Inspection)
    assert several.value > 1.2
    assert several.verdict == "good"  # too few rows to judge
