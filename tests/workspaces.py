"""Workspaces for tests, quick to make: the database is migrated once, and copied."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tunewright.store import Workspace


@cache
def _empty() -> Path:
    place = Path(tempfile.mkdtemp(prefix="tunewright-tests-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    Workspace.open(place / "ws").close()
    return place / "ws"


def fresh_workspace(folder: Path) -> Workspace:
    """A new workspace in a folder that is not there yet."""
    shutil.copytree(_empty(), folder)
    return Workspace.open(folder)
