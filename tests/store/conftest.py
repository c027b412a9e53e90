from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewright.store import Workspace


@pytest.fixture(autouse=True)
def _no_workspace_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNEWRIGHT_HOME", "TUNEWRIGHT_CACHE", "TUNEWRIGHT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "workspace")
    yield opened
    opened.close()
