"""From raw records to a language model of one's own: prepare, train, evaluate, release.

    import tunewright as tw

    run = tw.run("recipe.yaml")
    print(run.release, run.evaluation["tuned"])

Each stage is callable alone, and a listener hears of the progress:

    with tw.start("recipe.yaml", listener=print) as job:
        dataset = tw.stages.prepare(job)
        adapter = tw.stages.train(job)

The names below are loaded at their first use, so that importing the package pulls in neither torch nor polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Recipe": "tunewright.recipe",
    "RunResult": "tunewright.lifecycle.pipeline",
    "Workspace": "tunewright.store",
    "compare": "tunewright.lifecycle.comparing",
    "load_recipe": "tunewright.recipe",
    "load_release": "tunewright.lifecycle.talk",
    "measure_on": "tunewright.lifecycle.data_measuring",
    "measure_outputs": "tunewright.lifecycle.outputs_measuring",
    "remeasure": "tunewright.lifecycle.remeasure",
    "run": "tunewright.lifecycle.pipeline",
    "serve": "tunewright.server.start",
    "stages": "tunewright.lifecycle",
    "start": "tunewright.lifecycle.job",
    "talk": "tunewright.lifecycle.talk",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - the names are text


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tunewright' has no attribute {name!r}")
    home = import_module(_PUBLIC[name])
    return getattr(home, name) if hasattr(home, name) else import_module(f"{home.__name__}.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
