"""Whether held-out rows look like the data."""

from __future__ import annotations

from pathlib import Path

from tests.data.inspections.meaning_views import CATS, DOGS, rows_of, sentences, view_of
from tunewright.data.inspections.representation import Config, inspect
from tunewright.data.quality.inspection import Inspection

ABOUT_CATS, ABOUT_DOGS = sentences(CATS, 90), sentences(DOGS, 90)


def test_held_out_rows_about_something_else_are_told(encoder_folder: Path, tmp_path: Path) -> None:
    config = Config(encoder=str(encoder_folder))
    mixed = [text for pair in zip(ABOUT_CATS, ABOUT_DOGS, strict=True) for text in pair]
    data = rows_of("train", mixed[:120], ["x"] * 120)
    alike = inspect(view_of(data, rows_of("test", mixed[120:], ["x"] * 60), cache=tmp_path), config)
    other = rows_of("test", [f"{text} ." for text in ABOUT_DOGS[:60]], ["x"] * 60)
    apart = inspect(view_of(data, other, cache=tmp_path), config)
    assert isinstance(alike, Inspection)
    assert isinstance(apart, Inspection)
    assert apart.numbers["auc"] > alike.numbers["auc"]
    assert apart.numbers["p_value"] == 1 / 200
    assert apart.verdict in ("look", "act")
    assert any(case.place.startswith("test:") for case in apart.worst)


def test_too_few_rows_say_nothing(encoder_folder: Path, tmp_path: Path) -> None:
    one = rows_of("f", ["dog"], ["x"])
    assert inspect(view_of(one, one, cache=tmp_path), Config(encoder=str(encoder_folder))) is None
    assert inspect(view_of(one, cache=tmp_path), Config(encoder=str(encoder_folder))) is None
