"""An encoder's recipe can be planned: its rows are read both ways, and share nothing."""

from __future__ import annotations

from pathlib import Path

from tests.lifecycle.test_classes import recipe_of
from tunewright.plan import plan
from tunewright.recipe import load_recipe
from tunewright.store import Workspace


def test_an_encoders_rows_are_counted_whole(tmp_path: Path) -> None:
    found = plan(load_recipe(recipe_of(tmp_path)), workspace=Workspace.open(tmp_path / "ws"))
    assert found.work.is_known
    assert found.work.sharing == 1.0
    assert found.work.training.nodes == found.work.tokens
    assert found.as_recipe.memory.total > 0
    assert {option.name for option in found.options} >= {"recipe", "full"}
