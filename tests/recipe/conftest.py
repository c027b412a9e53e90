from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.recipe import Recipe, load_recipe

SMALLEST = """
name: support-desk
goal: Sort the mail.
data:
  train: mail.csv
"""

Load = Callable[..., Recipe]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a recipe given as text, from `project/recipe.yaml`, while the working directory is `elsewhere`."""
    for name in ("project", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def loaded(text: str = SMALLEST, *overrides: str) -> Recipe:
        path = Path("../project/recipe.yaml")
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return load_recipe(path, overrides)

    return loaded
