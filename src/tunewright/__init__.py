"""From raw records to a language model of one's own: prepare, train, evaluate, release.

    import tunewright as tw

    run = tw.run("recipe.yaml")
    print(run.release, run.evaluation["tuned"])

The names below are loaded at their first use, so that importing the package pulls in neither torch nor polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load_recipe": "tunewright.recipe",
    "Recipe": "tunewright.recipe",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tunewright' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
