"""A recipe's rows for a plan: those that lie elsewhere are not fetched for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.made import made_recipe
from tunewright.plan.rows import find_rows
from tunewright.recipe.schema import Source


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_rows_that_lie_elsewhere_are_not_fetched(
    is_at_hand: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.plan.rows.base_at_hand", lambda *asked: object() if is_at_hand else None)
    made = made_recipe()
    source = Source(path="postgresql://nowhere.example/desk", query="SELECT 1")
    recipe = made.model_copy(update={"data": made.data.model_copy(update={"train": (source,)})})
    with find_rows(recipe, None, tmp_path) as found:
        assert not found.tables
        assert ("lie elsewhere" if is_at_hand else "not on this machine") in found.note
    assert not list(tmp_path.iterdir())
