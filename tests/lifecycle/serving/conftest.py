"""One tiny world for all that only asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lifecycle.serving.worlds import add_adapter, make_workspace
from tunewright.lifecycle.serving.fleet import Fleet
from tunewright.store import Workspace

TEMPLATE = {"system": "Name the colour.", "user": "Thing: {text}", "assistant": "{label}"}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A base called `tiny`; `told` with a system message, `desk` with a template, `prompted` by prompt tuning."""
    workspace = make_workspace(tmp_path_factory.mktemp("world"))
    add_adapter(workspace, "told", rank=4, template={"system": "Name the colour."})
    columns = {"format": "template", "template": TEMPLATE}
    add_adapter(workspace, "desk", rank=4, seed=6, data=columns, template={"format": "template", "template": TEMPLATE})
    add_adapter(workspace, "prompted", method="prompt", seed=7)
    return workspace


@pytest.fixture(scope="session")
def fleet(world: Workspace) -> Iterator[Fleet]:
    """Its models in memory."""
    fleet = Fleet(world, memory_bytes=256 << 20, cache_bytes=4 << 20, device="cpu")
    fleet.start()
    yield fleet
    fleet.stop(0.0)
