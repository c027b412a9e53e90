"""A checkpoint that is shared with a project answers there, and stays its owner's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewright.base.errors import NoSuchRecordError
from tunewright.lifecycle.jobs.permissions import permissions, permit, withdraw
from tunewright.lifecycle.serving.names import (
    ProtectedModelError,
    UnknownModelError,
    add_model,
    delete_model,
    find_served,
)
from tunewright.store import Workspace

NAME = "ft:tiny:acme:desk:abc:ckpt-step-8"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.open(tmp_path / "ws")
    made: dict[str, Any] = {"base": "tiny", "base_hash": "x", "adapter": "y", "template": {}, "recipe": {}}
    add_model(workspace, NAME, **made, parent="tiny", owner="acme", project="home")
    return workspace


def shown(workspace: Workspace) -> list[str]:
    page = permissions(workspace, NAME, project="home", of=None, after=None, limit=20, order="asc")
    return [record.body["project_id"] for record in page.records]


def test_a_project_may_ask_what_is_shared_with_it_until_that_is_withdrawn(workspace: Workspace) -> None:
    with pytest.raises(UnknownModelError):
        find_served(workspace, NAME, project="guest")
    (granted,) = permit(workspace, NAME, ["guest"], project="home")
    assert permit(workspace, NAME, ["guest", "guest"], project="home") == [granted]
    assert find_served(workspace, NAME, project="guest").adapter == "y"
    with pytest.raises(UnknownModelError):
        find_served(workspace, NAME, project="stranger")
    with pytest.raises(ProtectedModelError, match="another project's"):
        delete_model(workspace, NAME, project="guest")
    withdraw(workspace, NAME, granted.id, project="home")
    with pytest.raises(UnknownModelError):
        find_served(workspace, NAME, project="guest")
    assert shown(workspace) == []


def test_only_the_owner_shares(workspace: Workspace) -> None:
    permit(workspace, NAME, ["guest", "friend"], project="home")
    assert shown(workspace) == ["guest", "friend"]
    with pytest.raises(NoSuchRecordError):
        permit(workspace, NAME, ["stranger"], project="guest")
    with pytest.raises(NoSuchRecordError):
        permissions(workspace, NAME, project="guest", of=None, after=None, limit=20, order="asc")
