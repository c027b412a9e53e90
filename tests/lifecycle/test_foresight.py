"""What a run refuses before it trains: here, that nothing is left to measure on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle.world import make_world
from tunewright.base.errors import RecipeError
from tunewright.lifecycle.job import start
from tunewright.lifecycle.stages import preflight


def test_without_test_rows_one_may_train_and_not_measure(tmp_path: Path) -> None:
    split = {"validation": 0, "test": 0, "minimum_test_rows": 0}
    recipe = make_world(tmp_path, rows=30, data={"split": split}, evaluate={"systems": [], "slices": []})
    with start(recipe, workspace=tmp_path / "ws", kind="train") as job:
        assert preflight(job).examples == 30
    with (
        pytest.raises(RecipeError, match=r"data\.split\.test: There is no test row"),
        start(recipe, workspace=tmp_path / "ws", kind="run") as job,
    ):
        preflight(job)
