"""Batches and runs of evals as tasks: a tiny model answers them, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.batches.made import batch, line, results, upload
from tests.lifecycle.evals.made import TEMPLATE, content, make_eval, make_run, row
from tests.lifecycle.serving.worlds import make_workspace
from tests.workspaces import fresh_workspace
from tunewright.lifecycle.batches.batch import KIND as BATCH
from tunewright.lifecycle.batches.requests import COMPLETIONS
from tunewright.lifecycle.evals.run import KIND as RUN
from tunewright.lifecycle.evals.run import items_of
from tunewright.lifecycle.jobs.desk import Desk, Setup, come_so_far, give_up, handle, recover
from tunewright.store import Workspace

SETUP = Setup(memory_bytes=256 << 20)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    place = make_workspace(tmp_path_factory.mktemp("world"))
    yield place
    place.close()


def test_a_batch_is_answered_by_a_model(workspace: Workspace) -> None:
    asks = [{"model": "tiny", "prompt": f"lamp {number}", "max_tokens": 3, "temperature": 0} for number in range(5)]
    lines = [line(str(number), url=COMPLETIONS, body=body) for number, body in enumerate(asks)]
    lines.append(line("none", url=COMPLETIONS, body={"model": "nobody", "prompt": "x"}))
    lines.append(line("wrong", url=COMPLETIONS, body={"model": "tiny", "prompt": "x", "temperature": 9}))
    made = batch(workspace, upload(workspace, lines), endpoint=COMPLETIONS)
    task = workspace.task(made.id)
    handle(task, Desk(workspace, SETUP))
    done = workspace.record(BATCH, made.id).body
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 7, "completed": 5, "failed": 2})
    output = results(workspace, done["output_file_id"])
    assert [each["custom_id"] for each in output] == ["0", "1", "2", "3", "4"]
    assert all(each["response"]["body"]["usage"]["completion_tokens"] <= 3 for each in output)
    assert done["usage"]["output_tokens"] == sum(
        each["response"]["body"]["usage"]["completion_tokens"] for each in output
    )
    errors = {each["custom_id"]: each["response"] for each in results(workspace, done["error_file_id"])}
    assert (errors["none"]["status_code"], errors["none"]["body"]["error"]["code"]) == (404, "model_not_found")
    assert (errors["wrong"]["status_code"], errors["wrong"]["body"]["error"]["param"]) == (400, "temperature")


def test_a_run_is_answered_and_judged_by_models(workspace: Workspace) -> None:
    judge: dict[str, Any] = {
        "type": "score_model",
        "name": "judged",
        "model": "tiny",
        "range": [0, 1],
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }
    labels = {**judge, "type": "label_model", "name": "kind", "labels": ["a", "b"], "passing_labels": ["a"]}
    del labels["range"]
    source = {"type": "completions", "model": "tiny", "source": content(row("Why?", "-")), "input_messages": TEMPLATE}
    source["sampling_params"] = {"max_completion_tokens": 4, "temperature": 0}
    run = make_run(workspace, make_eval(workspace, judge, labels), source)
    task = workspace.task(run.id)
    handle(task, Desk(workspace, SETUP))
    done = workspace.record(RUN, run.id).body
    assert done["status"] == "completed"
    (item,) = items_of(workspace, run.id)
    scored, labelled = item.body["results"]
    # Whatever an untrained model would like to say, it is held to the schema.
    assert 0 <= scored["score"] <= 1
    assert json.loads(labelled["sample"]["output"][0]["content"])["label"] in ("a", "b")
    assert done["per_model_usage"][0]["invocation_count"] == 3
    assert come_so_far(task, workspace) == 1


def test_what_was_recorded_and_not_queued_is_queued(tmp_path: Path) -> None:
    workspace = fresh_workspace(tmp_path / "ws")
    workspace.add_record(BATCH, {"status": "validating"}, id="batch_lost")
    workspace.add_record(BATCH, {"status": "completed"}, id="batch_done")
    workspace.add_record(RUN, {"status": "queued"}, id="evalrun_lost")
    recover(workspace)
    assert {task.id for task in workspace.tasks([BATCH, RUN])} == {"batch_lost", "evalrun_lost"}


def test_whoever_gives_up_marks_the_record(tmp_path: Path) -> None:
    workspace = fresh_workspace(tmp_path / "ws")
    made = batch(workspace, upload(workspace, [line("a")]))
    give_up(workspace.task(made.id), Desk(workspace), "It died.")
    assert workspace.record(BATCH, made.id).body["errors"]["data"][0]["message"] == "It died."
    assert come_so_far(workspace.task(made.id), workspace) == 0
