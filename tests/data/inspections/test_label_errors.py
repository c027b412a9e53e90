"""Suspect labels."""

from __future__ import annotations

from pathlib import Path

from tests.data.inspections.meaning_views import CATS, DOGS, rows_of, sentences, view_of
from tunewright.data.inspections.label_errors import Config, inspect
from tunewright.data.quality.inspection import Inspection


def test_a_planted_error_is_named_and_shown(encoder_folder: Path, tmp_path: Path) -> None:
    texts = [*sentences(CATS, 40), *sentences(DOGS, 40), "mat", None]
    labels = ["c"] * 40 + ["d"] * 40 + ["rare", "c"]
    labels[12] = "d"
    found = inspect(view_of(rows_of("f", texts, labels), cache=tmp_path), Config(encoder=str(encoder_folder)))
    assert isinstance(found, Inspection)
    assert found.worst[0].place == "f:13"
    assert found.worst[0].why.startswith("“d” (0.")
    assert "more likely “c” (0." in found.worst[0].why
    assert found.numbers["judged"] == 80
    assert found.numbers["not_judged"] == 1
    assert {"label": "d", "likely": "c", "rows": 1} in found.numbers["confused"]


def test_free_answers_are_no_labels(tmp_path: Path) -> None:
    view = view_of(rows_of("f", ["dog"], ["x"]), cache=tmp_path)
    free = type(view)(view.data, kind="text", cache=tmp_path)
    assert inspect(free, Config()) is None
