"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright.server.context import Server, Settings
from tunewright.store import Workspace


@pytest.fixture
def server_with(tmp_path: Path) -> Callable[..., Server]:
    """Makes a server of a fresh workspace, with no models, by its settings."""

    def make(**settings: Any) -> Server:
        nobody: Any = None
        return Server(Workspace.open(tmp_path / "ws"), nobody, Settings(**settings))

    return make
