"""The demonstration runs from where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.base.errors import WorkspaceError
from tunewright.lifecycle import demo
from tunewright.lifecycle.demo import demo_recipe
from tunewright.recipe import load_recipe


def test_the_recipe_is_found_and_checks() -> None:
    recipe = load_recipe(demo_recipe())
    assert recipe.name == "support-desk"
    assert all(source.files() for source in (*recipe.data.train, *recipe.data.test))


def test_beside_the_installed_package_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_PACKAGE", tmp_path / "lib" / "tunewright")
    with pytest.raises(WorkspaceError, match="missing from this installation"):
        demo_recipe()
    installed = tmp_path / "lib" / "tunewright" / "examples" / "support_desk" / "recipe.yaml"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert demo_recipe() == installed
