"""A workspace for each test: on SQLite, or, where TUNEWRIGHT_TEST_POSTGRES names a server, on an empty schema there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.postgres import new_schema
from tunewright.store import Workspace


@pytest.fixture(autouse=True)
def _no_workspace_of_the_machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    for name in ("TUNEWRIGHT_HOME", "TUNEWRIGHT_CACHE", "TUNEWRIGHT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    if server := os.environ.get("TUNEWRIGHT_TEST_POSTGRES"):
        if request.node.get_closest_marker("sqlite"):
            pytest.skip("says something about SQLite alone")
        monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", new_schema(server))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "workspace")
    yield opened
    opened.close()
