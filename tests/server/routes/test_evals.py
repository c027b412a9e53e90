"""Evals, their runs and items, as OpenAI's client sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openai import BadRequestError, NotFoundError, OpenAI

from tests.lifecycle.evals.made import NEAR, RIGHT, SCHEMA, TEMPLATE, given, never, row
from tests.server.routes.told import checked, open_client
from tunewright.evaluate.graders import Kit
from tunewright.lifecycle.evals.running import work_on
from tunewright.store import Workspace

CONFIG: Any = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
LABELS: Any = {
    "type": "label_model",
    "name": "kind",
    "model": "judge",
    "labels": ["yes", "no"],
    "passing_labels": ["yes"],
    "input": [{"role": "critic", "content": "{{sample.output_text}}"}],
}
CRITERIA: Any = [RIGHT, NEAR]


@pytest.fixture
def here(tmp_path: Path) -> tuple[OpenAI, TestClient, Workspace]:
    return open_client(tmp_path / "ws")


def test_an_eval_is_made_changed_listed_and_removed(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client = here[0]
    made = checked(
        client.evals.create(
            data_source_config=CONFIG, testing_criteria=[*CRITERIA, LABELS], name="desk", metadata={"a": "b"}
        )
    )
    assert (made.id[:5], made.object, made.name, made.metadata) == ("eval_", "eval", "desk", {"a": "b"})
    assert checked(client.evals.retrieve(made.id)).testing_criteria[2].model_dump()["input"][0]["role"] == "user"
    changed = checked(client.evals.update(made.id, name="other"))
    assert (changed.name, changed.metadata) == ("other", {"a": "b"})
    assert client.evals.update(made.id, metadata=None).metadata is None
    second = client.evals.create(data_source_config={"type": "logs"}, testing_criteria=CRITERIA)
    assert [each.id for each in checked(client.evals.list()).data] == [made.id, second.id]
    assert [each.id for each in client.evals.list(order="desc", limit=1)] == [second.id, made.id]
    client.evals.update(made.id, name="last")
    by_change = client.evals.list(order_by="updated_at", limit=1)
    assert [each.id for each in by_change] == [second.id, made.id]
    gone = checked(client.evals.delete(made.id))
    assert (gone.deleted, gone.eval_id) == (True, made.id)
    with pytest.raises(NotFoundError, match=f"No such eval: {made.id}"):
        client.evals.retrieve(made.id)


def test_a_run_is_made_followed_and_read(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client, plain, workspace = here
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA)
    source: Any = given(row("a", "it is", "it is"), row("b", "it is", "no"))
    run = checked(client.evals.runs.create(made.id, data_source=source, name="first", metadata={"k": "v"}))
    assert (run.status, run.name, run.eval_id, run.metadata) == ("queued", "first", made.id, {"k": "v"})
    assert run.data_source.model_dump(exclude_unset=True) == source
    work_on(workspace, run.id, Kit(), never)
    done = checked(client.evals.runs.retrieve(run.id, eval_id=made.id))
    assert (done.status, done.result_counts.passed, done.result_counts.failed) == ("completed", 1, 1)
    assert [each.id for each in checked(client.evals.runs.list(made.id, status="completed")).data] == [run.id]
    assert client.evals.runs.list(made.id, status="failed").data == []

    items = client.evals.runs.output_items
    listed = checked(items.list(run.id, eval_id=made.id))
    assert sorted(each.datasource_item_id for each in listed.data) == [0, 1]
    failed = items.list(run.id, eval_id=made.id, status="fail").data
    assert [each.datasource_item["question"] for each in failed] == ["b"]
    one = checked(items.retrieve(failed[0].id, eval_id=made.id, run_id=run.id))
    assert [(each.name, each.passed, each.type) for each in one.results] == [
        ("right", False, "string_check"),
        ("near", False, "text_similarity"),
    ]
    assert one.sample.output[0].content == "no"
    page = plain.get(done.report_url)
    assert (page.status_code, "1 of 2 rows passed" in page.text) == (200, True)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_run_is_cancelled_and_removed(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client = here[0]
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA)
    source: Any = given(row("a", "b", "b"))
    run = client.evals.runs.create(made.id, data_source=source)
    for _ in range(2):
        assert checked(client.evals.runs.cancel(run.id, eval_id=made.id)).status == "canceled"
    gone = checked(client.evals.runs.delete(run.id, eval_id=made.id))
    assert (gone.deleted, gone.run_id) == (True, run.id)
    with pytest.raises(NotFoundError, match="No such run"):
        client.evals.runs.retrieve(run.id, eval_id=made.id)


def test_runs_are_found_under_their_own_eval_alone(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client = here[0]
    made, other = (client.evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA) for _ in range(2))
    source: Any = given(row("a", "b", "b"))
    run = client.evals.runs.create(made.id, data_source=source)
    with pytest.raises(NotFoundError):
        client.evals.runs.retrieve(run.id, eval_id=other.id)
    with pytest.raises(NotFoundError, match="No such output item"):
        client.evals.runs.output_items.retrieve("outputitem_x", eval_id=made.id, run_id=run.id)


@pytest.mark.parametrize(
    ("source", "param"),
    [
        ({"type": "completions", "source": {"type": "stored_completions", "model": "m"}}, "data_source.source"),
        ({"type": "completions", "source": given(row("a", "b"))["source"]}, "data_source.model"),
        ({"type": "responses", "source": {"type": "responses", "users": ["x"]}}, "data_source.source.type"),
        ({"type": "jsonl", "source": {"type": "file_id", "id": "file-none"}}, "data_source.source.id"),
        ({"type": "jsonl", "source": {"type": "file_content", "content": []}}, "data_source.jsonl.source"),
        ({"type": "odd"}, "data_source"),
    ],
)
def test_runs_that_cannot_be_done_are_refused(
    here: tuple[OpenAI, TestClient, Workspace], source: Any, param: str
) -> None:
    client = here[0]
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA)
    with pytest.raises(BadRequestError) as wrong:
        client.evals.runs.create(made.id, data_source=source)
    assert str(wrong.value.param).startswith(param)
    assert client.evals.runs.list(made.id).data == []


def test_wrong_evals_are_refused(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client = here[0]
    with pytest.raises(BadRequestError) as wrong:
        client.evals.create(data_source_config=CONFIG, testing_criteria=[{**NEAR, "input": "{{answer}}"}])  # type: ignore[list-item]
    assert wrong.value.param == "testing_criteria[0]"
    with pytest.raises(BadRequestError) as wrong:
        client.evals.create(data_source_config={"type": "custom"}, testing_criteria=CRITERIA)  # type: ignore[typeddict-item]
    assert "item_schema" in str(wrong.value.param)


def test_messages_for_a_model_are_told_back_as_they_were_given(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    plain = here[1]
    made = here[0].evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA)
    source = {"type": "completions", "model": "nobody", "source": given(row("a", "b"))["source"]}
    answer = plain.post(f"/v1/evals/{made.id}/runs", json={"data_source": {**source, "input_messages": TEMPLATE}})
    assert answer.status_code == 404
