"""Leakage by meaning."""

from __future__ import annotations

from pathlib import Path

from tests.data.inspections.meaning_views import rows_of, view_of
from tunewright.data.inspections.meaning_leakage import Config, inspect
from tunewright.data.quality.inspection import Inspection


def test_held_out_rows_in_other_words_are_found_apart_from_equal_ones(encoder_folder: Path, tmp_path: Path) -> None:
    data = rows_of("train", ["the zebra sat", "a mat", "dog"], ["x", "y", "z"])
    held = rows_of("test", ["the yak sat", "Dog", "on on on"], ["x", "z", "z"])
    found = inspect(view_of(data, held, cache=tmp_path), Config(encoder=str(encoder_folder), threshold=0.9999))
    assert isinstance(found, Inspection)
    # "Dog" stands there word for word, which is for `leakage` to tell.
    assert found.numbers["held_out"] == {"test": {"rows": 1, "of": 3}}
    assert [(case.place, case.why) for case in found.worst] == [
        ("test:1", "similarity 1.00 to train:1: the zebra sat"),
    ]
    assert found.verdict == "look"


def test_without_held_out_rows_it_does_not_apply(tmp_path: Path) -> None:
    assert inspect(view_of(rows_of("f", ["dog"], ["x"]), cache=tmp_path), Config()) is None
