"""Graders tried out, as OpenAI's client sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openai import BadRequestError, OpenAI

from tests.server.routes.told import checked, open_client
from tunewright.store import Workspace

CHECK: Any = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
OWN: Any = {
    "type": "python",
    "name": "own",
    "source": "def grade(sample, item):\n    return len(sample['output_text'])\n",
}


@pytest.fixture
def here(tmp_path: Path) -> tuple[OpenAI, TestClient, Workspace]:
    return open_client(tmp_path / "ws")


def test_a_grader_is_run(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    graders = here[0].fine_tuning.alpha.graders
    told = checked(graders.run(grader=CHECK, model_sample="yes", item={"answer": "yes"}))
    assert (told.reward, told.sub_rewards, told.metadata.scores) == (1.0, {}, {"right": 1.0})
    assert (told.metadata.name, told.metadata.type, told.metadata.token_usage) == ("right", "string_check", None)
    assert told.metadata.execution_time >= 0
    assert True not in told.metadata.errors.model_dump().values()


def test_parts_of_a_joint_score_are_told(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    joint: Any = {"type": "multi", "name": "all", "graders": {"right": CHECK}, "calculate_output": "right / 4"}
    told = checked(here[0].fine_tuning.alpha.graders.run(grader=joint, model_sample="yes", item={"answer": "yes"}))
    assert (told.reward, told.sub_rewards) == (0.25, {"right": 1.0})


def test_what_goes_wrong_while_grading_is_told(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    told = checked(here[0].fine_tuning.alpha.graders.run(grader=CHECK, model_sample="yes", item={}))
    assert told.reward == 0.0
    flags = told.metadata.errors.model_dump()
    assert [name for name, value in flags.items() if value is True] == ["invalid_variable_error"]
    assert "item.answer" in flags["message"]


def test_a_grader_is_checked(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    graders = here[0].fine_tuning.alpha.graders
    told = checked(graders.validate(grader=CHECK)).grader
    assert told is not None
    assert told.model_dump() == CHECK
    with pytest.raises(BadRequestError) as wrong:
        graders.validate(grader={**CHECK, "operation": "is"})
    assert wrong.value.param == "grader.operation"


def test_programs_run_only_where_the_operator_allows_it(tmp_path: Path) -> None:
    shut = open_client(tmp_path / "shut")[0].fine_tuning.alpha.graders
    for refused in (lambda: shut.validate(grader=OWN), lambda: shut.run(grader=OWN, model_sample="yes")):
        with pytest.raises(BadRequestError, match="turned off"):
            refused()
    told = open_client(tmp_path / "open", python_graders=True)[0].fine_tuning.alpha.graders.run(
        grader=OWN, model_sample="yes"
    )
    assert checked(told).reward == 3.0
