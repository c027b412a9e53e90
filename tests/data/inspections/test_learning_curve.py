"""Enough data?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.inspections.meaning_views import CATS, DOGS, rows_of, sentences, view_of
from tunewright.data.inspections.learning_curve import Config, inspect
from tunewright.data.quality.inspection import Inspection, NotRun

TEXTS = [text for pair in zip(sentences(CATS, 80), sentences(DOGS, 80), strict=True) for text in pair]
LABELS = ["c", "d"] * 80


@pytest.mark.parametrize("held_out", [True, False])
def test_it_says_what_twice_the_rows_would_buy(encoder_folder: Path, tmp_path: Path, held_out: bool) -> None:
    data = rows_of("train", TEXTS[:120], LABELS[:120])
    held = [rows_of("test", [*TEXTS[120:], "dog"], [*LABELS[120:], None])] if held_out else []
    found = inspect(view_of(data, *held, cache=tmp_path), Config(encoder=str(encoder_folder)))
    assert isinstance(found, Inspection)
    # Without held-out rows a fifth of each label's is held out.
    assert found.numbers["held_out_rows"] == (40 if held_out else 24)
    points = found.numbers["points"]
    assert points[-1]["rows"] == (120 if held_out else 96)
    assert points[-1]["accuracy"] > 0.6
    assert found.numbers["gain_low"] <= found.value <= found.numbers["gain_high"]
    assert "twice as many would bring" in found.found
    assert len(found.charts[0].points) == len(points)


def test_too_few_rows_are_told(encoder_folder: Path, tmp_path: Path) -> None:
    data = rows_of("train", TEXTS[:12], LABELS[:12])
    lacks = inspect(view_of(data, cache=tmp_path), Config(encoder=str(encoder_folder)))
    assert isinstance(lacks, NotRun)
    assert "too few for a learning curve" in lacks.reason
