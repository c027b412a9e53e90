"""Relevance to the goal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.data.inspections.meaning_views import rows_of, view_of
from tunewright.data.inspections.relevance import Config, inspect
from tunewright.data.meaning.embedding import Embedder
from tunewright.data.quality.inspection import Inspection


def test_rows_far_from_the_goal_are_counted_the_farthest_first(encoder_folder: Path, tmp_path: Path) -> None:
    texts = ["the cat sat", "dog", "on a mat .", "cat"]
    data = rows_of("f", texts, ["x"] * 4)
    goal = "the cat sat on a mat"
    embedder = Embedder.open(str(encoder_folder), tmp_path)
    cosine = embedder.embed(texts) @ embedder.embed([goal])[0]
    between = float(np.sort(cosine)[1:3].mean())
    view = view_of(data, cache=tmp_path, recipe=SimpleNamespace(goal=goal))
    found = inspect(view, Config(encoder=str(encoder_folder), least=between))
    assert isinstance(found, Inspection)
    assert found.value == 0.5
    assert found.verdict == "look"
    assert [case.text for case in found.worst] == [texts[row] for row in np.argsort(cosine)]
    assert found.numbers["median"] == pytest.approx(float(np.median(cosine)), abs=1e-6)
    assert sum(count for _, count in found.charts[0].bars) == 4


def test_without_a_goal_it_does_not_apply(tmp_path: Path) -> None:
    assert inspect(view_of(rows_of("f", ["dog"], ["x"]), cache=tmp_path), Config()) is None
