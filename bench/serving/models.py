"""A workspace with the base and, made on the spot, adapters of it that the server answers as."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from speed.processes import environment, run


@dataclass(frozen=True)
class Prepared:
    """What `prepare` has made.

    Args:
        workspace: Where the server finds all of it.
        adapters: The adapters' names as models.
        base_folder: Where the base's weights lie.
        environment: What the server needs to be told.
    """

    workspace: Path
    adapters: tuple[str, ...]
    base_folder: Path
    environment: dict[str, str]


def prepare(folder: Path, options: argparse.Namespace) -> Prepared:
    """Makes the workspace, in a process of its own, so that this one stays small."""
    workspace, told = folder / "workspace", folder / "models.json"
    # The models of $TUNEWRIGHT_CACHE, or of the workspace that would be found here.
    cache = {"TUNEWRIGHT_CACHE": os.environ["TUNEWRIGHT_CACHE"]} if "TUNEWRIGHT_CACHE" in os.environ else _found_cache()
    run(
        "serving.adapters_made",
        [str(workspace), options.base, str(told)],
        python=Path(sys.executable),
        log=folder / "models.log",
        environment=environment(options.threads) | cache,
    )
    found = json.loads(told.read_text())
    return Prepared(workspace, tuple(found["adapters"]), Path(found["base_folder"]), cache)


def _found_cache() -> dict[str, str]:
    from tunewright.store import Workspace

    return {"TUNEWRIGHT_CACHE": str(Workspace.open().cache)}
