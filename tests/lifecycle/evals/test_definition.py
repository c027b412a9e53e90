"""Evals: their rows' schema and their graders are checked when they are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.evals.made import JUDGED, NEAR, RIGHT, SCHEMA, make_eval
from tests.workspaces import fresh_workspace
from tunewright.base.errors import InputError
from tunewright.lifecycle.evals.definition import render_eval, update_eval
from tunewright.store import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return fresh_workspace(tmp_path / "ws")


def test_an_eval_tells_the_schema_of_what_templates_find(workspace: Workspace) -> None:
    told = render_eval(make_eval(workspace, RIGHT, JUDGED))
    assert told["object"] == "eval"
    assert told["data_source_config"]["type"] == "custom"
    schema = told["data_source_config"]["schema"]
    assert schema["properties"]["item"] == SCHEMA
    assert schema["required"] == ["item", "sample"]
    assert "output_text" in schema["properties"]["sample"]["properties"]
    assert [each["name"] for each in told["testing_criteria"]] == ["right", "judged"]
    assert not any(name.startswith("_") for name in told)


def test_logs_have_both(workspace: Workspace) -> None:
    source = {"type": "logs", "metadata": {"usecase": "chat"}}
    told = render_eval(make_eval(workspace, data_source=source))["data_source_config"]
    assert (told["type"], told["metadata"], told["schema"]["required"]) == (
        "logs",
        {"usecase": "chat"},
        ["item", "sample"],
    )


def test_a_nameless_eval_is_called_by_its_id(workspace: Workspace) -> None:
    made = make_eval(workspace, name=None)
    assert made.body["name"] == made.id


def test_changes_keep_the_rest(workspace: Workspace) -> None:
    made = make_eval(workspace, metadata={"a": "b"})
    changed = update_eval(workspace, made.id, {"name": "other"})
    assert (changed.body["name"], changed.body["metadata"]) == ("other", {"a": "b"})
    assert changed.body["_updated_at"] > made.body["_updated_at"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"criteria": [RIGHT, {"type": "string_check"}]}, "testing_criteria[1]"),
        ({"criteria": [{**NEAR, "pass_threshold": None}]}, "testing_criteria[0].pass_threshold"),
        ({"criteria": [{"type": "python", "name": "p", "source": ""}]}, "turned off"),
        (
            {"criteria": [{"type": "multi", "name": "m", "graders": {"a": RIGHT}, "calculate_output": "a"}]},
            "is no criterion of an eval",
        ),
        ({"data_source": {"type": "custom", "item_schema": {"type": 5}}}, "This is no JSON Schema"),
        ({"data_source": {"type": "custom", "item_schema": {"$schema": []}}}, "its $schema is no text"),
        ({"data_source": {"type": "custom", "item_schema": {"pattern": "("}}}, "This is no JSON Schema"),
    ],
)
def test_wrong_evals_are_refused(workspace: Workspace, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        make_eval(workspace, **more)
    assert said in str(caught.value)
    assert workspace.records("eval").records == []
