from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tunewright.base.errors import UnknownNameError, WorkspaceError
from tunewright.store import Workspace


@pytest.fixture
def fields(workspace: Workspace) -> dict[str, Any]:
    """What a release of a fresh run says."""
    run = workspace.start_run("support-desk", "run", {})
    dataset = workspace.put("dataset", lambda folder: (folder / "rows").write_text("1"), manifest={}, producer=run.id)
    adapter = workspace.put(
        "adapter", lambda folder: (folder / "weights").write_text("2"), manifest={}, producer=run.id
    )
    return {
        "adapter": adapter.hash,
        "dataset": dataset.hash,
        "run": run.id,
        "base": "smollm2-135m-instruct",
        "base_hash": "ab" * 32,
        "template": {"system": "You sort mail."},
        "evaluation": {"tuned": {"accuracy": {"value": 0.9, "low": 0.87, "high": 0.93, "n": 400}}},
        "recipe": {"seed": 17},
    }


def test_a_release_says_all_that_was_given(workspace: Workspace, fields: dict[str, Any]) -> None:
    release = workspace.add_release("support-desk", **fields)
    assert (release.name, release.version, release.label) == ("support-desk", 1, "support-desk@1")
    shown = json.loads(json.dumps(workspace.find_release("support-desk").as_json()))
    assert shown["evaluation"]["tuned"]["accuracy"]["value"] == 0.9
    assert {name: shown[name] for name in fields} == fields
    with pytest.raises(dataclasses.FrozenInstanceError):
        release.version = 2  # type: ignore[misc]


def test_versions_count_up_and_saying_the_same_adds_none(workspace: Workspace, fields: dict[str, Any]) -> None:
    workspace.add_release("support-desk", **fields)
    assert workspace.add_release("support-desk", **fields).version == 1
    assert workspace.add_release("support-desk", **{**fields, "recipe": {"seed": 18}}).version == 2
    assert workspace.add_release("other", **fields).version == 1
    assert workspace.find_release("support-desk").label == "support-desk@2"
    assert workspace.find_release("support-desk@1").recipe == {"seed": 17}
    assert [release.label for release in workspace.releases()] == ["other@1", "support-desk@2", "support-desk@1"]
    assert [release.label for release in workspace.releases("other")] == ["other@1"]


def test_a_fuller_evaluation_takes_the_place_of_the_first(workspace: Workspace, fields: dict[str, Any]) -> None:
    workspace.add_release("support-desk", **fields)
    workspace.add_release("support-desk", **{**fields, "recipe": {"seed": 18}})
    fuller = {**fields["evaluation"], "findings": {"review_win_rate": {"value": 0.7}}}
    amended = workspace.amend_release("support-desk@1", fuller)
    assert amended == workspace.find_release("support-desk@1")
    assert amended.evaluation == fuller
    assert workspace.find_release("support-desk@2").evaluation == fields["evaluation"]
    with pytest.raises(UnknownNameError):
        workspace.amend_release("support-desk@3", fuller)


def test_unknown_names_and_versions_are_refused(workspace: Workspace, fields: dict[str, Any]) -> None:
    with pytest.raises(WorkspaceError, match="this workspace has none yet"):
        workspace.find_release("support-desk")
    workspace.add_release("support-desk", **fields)
    with pytest.raises(UnknownNameError, match="Did you mean 'support-desk'"):
        workspace.find_release("suport-desk")
    with pytest.raises(UnknownNameError, match="Known: support-desk@1"):
        workspace.find_release("support-desk@7")


@pytest.mark.parametrize("field", ["adapter", "dataset", "run"])
def test_what_it_names_must_be_here(workspace: Workspace, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(WorkspaceError):
        workspace.add_release("support-desk", **{**fields, field: "0" * 64})
    assert workspace.releases() == []


@pytest.mark.parametrize("name", ["", "a@1"])
def test_a_name_holds_no_version(workspace: Workspace, fields: dict[str, Any], name: str) -> None:
    with pytest.raises(WorkspaceError, match="cannot name a release"):
        workspace.add_release(name, **fields)
