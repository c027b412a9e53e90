"""Runs of evals: every row graded once, and counted right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.lifecycle.batches.made import upload
from tests.lifecycle.evals import made as these
from tests.lifecycle.evals.made import JUDGED, NEAR, RIGHT, TEMPLATE, Model, given, make_eval, make_run, never, row
from tests.workspaces import fresh_workspace
from tunewright.base.errors import InputError
from tunewright.evaluate.graders import Kit
from tunewright.lifecycle.evals import run as runs
from tunewright.lifecycle.evals import running
from tunewright.lifecycle.evals.page import page_of
from tunewright.lifecycle.evals.rows import STORED, Row
from tunewright.lifecycle.evals.run import ITEM, KIND, cancel_run, items_of, remove_eval, remove_run, render_run
from tunewright.lifecycle.evals.running import fail, work_on
from tunewright.lifecycle.jobs.desk import Stopped
from tunewright.store import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(runs, "_check_models", lambda *_: None)
    return fresh_workspace(tmp_path / "ws")


def told(workspace: Workspace, id: str) -> dict[str, Any]:
    return render_run(workspace.record(KIND, id))


def drawn(*rows: Mapping[str, Any]) -> dict[str, Any]:
    source = these.content(*rows)
    return {"type": "completions", "model": "tiny", "source": source, "input_messages": TEMPLATE}


def test_given_answers_are_graded(workspace: Workspace) -> None:
    made = make_eval(workspace, RIGHT, NEAR)
    rows = [row("a", "it is", "it is"), row("b", "it is", "it was"), row("c", "it is", "no"), row("d", "x")]
    run = make_run(workspace, made, given(*rows), metadata={"k": "v"})
    queued = told(workspace, run.id)
    assert (queued["status"], queued["name"], queued["model"]) == ("queued", run.id, "")
    assert queued["report_url"] == f"http://here/v1/evals/{made.id}/runs/{run.id}/report"
    assert queued["per_testing_criteria_results"][1] == {"testing_criteria": "near", "passed": 0, "failed": 0}
    assert workspace.task(run.id).kind == KIND

    work_on(workspace, run.id, Kit(), never)
    done = told(workspace, run.id)
    assert (done["status"], done["metadata"], done["error"]) == ("completed", {"k": "v"}, {"code": "", "message": ""})
    assert done["result_counts"] == {"passed": 1, "failed": 2, "errored": 1, "total": 4}
    assert done["per_testing_criteria_results"] == [
        {"testing_criteria": "right", "passed": 1, "failed": 2},
        {"testing_criteria": "near", "passed": 2, "failed": 1},
    ]
    assert done["per_model_usage"] == []
    items = sorted((item.body for item in items_of(workspace, run.id)), key=lambda body: body["datasource_item_id"])
    assert [item["status"] for item in items] == ["pass", "fail", "fail", "error"]
    assert items[1]["results"] == [
        {"name": "right", "type": "string_check", "passed": False, "score": 0.0, "sample": None},
        {"name": "near", "type": "text_similarity", "passed": True, "score": 0.5, "sample": None},
    ]
    error = items[3]["results"][0]["sample"]["error"]
    assert (error["code"], "There is no 'sample'" in error["message"]) == ("invalid_variable_error", True)


def test_a_model_answers_and_another_one_judges(workspace: Workspace) -> None:
    model = Model()
    run = make_run(workspace, make_eval(workspace, RIGHT, JUDGED), drawn(row("yes", "YES"), row("break", "-")))
    work_on(workspace, run.id, model.kit, never)
    done = told(workspace, run.id)
    assert (done["status"], done["model"]) == ("completed", "tiny")
    assert done["result_counts"] == {"passed": 1, "failed": 0, "errored": 1, "total": 2}
    usage = {"invocation_count": 1, "prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 4, "total_tokens": 12}
    assert done["per_model_usage"] == [{"model_name": "judge", **usage}, {"model_name": "tiny", **usage}]
    first = next(item.body for item in items_of(workspace, run.id) if item.body["datasource_item_id"] == 0)
    assert first["sample"]["output"] == [{"role": "assistant", "content": "YES"}]
    judged = first["results"][1]
    assert (judged["score"], judged["sample"]["input"]) == (0.75, [{"role": "user", "content": "YES"}])


def test_rows_are_asked_many_at_once(workspace: Workspace) -> None:
    together, model = Barrier(8, timeout=10), Model()

    def waits(body: Mapping[str, Any]) -> Mapping[str, Any]:
        together.wait()
        return model(body)

    run = make_run(workspace, make_eval(workspace), drawn(*(row(f"q{number}", "-") for number in range(8))))
    work_on(workspace, run.id, Kit(ask=waits), never)
    assert told(workspace, run.id)["result_counts"]["failed"] == 8


def test_rows_of_a_file_are_checked_by_line(workspace: Workspace) -> None:
    made = make_eval(workspace)
    file = upload(workspace, [row("a", "b", "b"), "", {"item": {"question": 5}}, {"row": 1}, "{"], purpose="evals")
    run = make_run(workspace, made, {"type": "jsonl", "source": {"type": "file_id", "id": file.id}})
    work_on(workspace, run.id, Kit(), never)
    done = told(workspace, run.id)
    assert (done["status"], done["error"]["code"]) == ("failed", "invalid_data")
    for said in ("3 of 4 rows", "in.jsonl:3: 5 is not of type 'string' (at item.question)", "in.jsonl:4", "in.jsonl:5"):
        assert said in done["error"]["message"]
    assert [*items_of(workspace, run.id)] == []
    file = upload(workspace, [row("a", "b", "b")], purpose="evals")
    run = make_run(workspace, made, {"type": "jsonl", "source": {"type": "file_id", "id": file.id}})
    work_on(workspace, run.id, Kit(), never)
    assert told(workspace, run.id)["result_counts"]["passed"] == 1


def test_a_nul_is_refused_in_rows_and_replaced_in_answers(workspace: Workspace) -> None:
    made = make_eval(workspace)
    file = upload(workspace, [row("a\0", "b", "b"), row("\\u0000", "b", "b")], purpose="evals")
    run = make_run(workspace, made, {"type": "jsonl", "source": {"type": "file_id", "id": file.id}})
    work_on(workspace, run.id, Kit(), never)
    assert "1 of 2 rows" in told(workspace, run.id)["error"]["message"]
    assert "in.jsonl:1: A text holds a NUL" in told(workspace, run.id)["error"]["message"]

    def says_nul(body: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"choices": [{"message": {"content": "a\0b"}, "finish_reason": "stop"}], "usage": {}}

    run = make_run(workspace, made, drawn(row("q", "x")))
    work_on(workspace, run.id, Kit(ask=says_nul), never)
    (item,) = items_of(workspace, run.id)
    assert item.body["sample"]["output"][0]["content"] == "a\ufffdb"


def test_a_row_that_somebody_else_has_graded_counts_as_they_have_graded_it(workspace: Workspace) -> None:
    run = make_run(workspace, make_eval(workspace), given(row("a", "b", "b")))
    work_on(workspace, run.id, Kit(), never)
    (item,) = items_of(workspace, run.id)
    again = running._keep_item(workspace, run, Row(0, {}, None), {"status": "fail", "results": [], "_spent": []})
    assert again == item.body


def test_only_files_for_evals_are_taken(workspace: Workspace) -> None:
    file = upload(workspace, [row("a", "b")])
    for id, said in ((file.id, "has the purpose 'batch'"), ("file-none", "No such file object")):
        with pytest.raises(InputError, match=said):
            make_run(workspace, make_eval(workspace), {"type": "jsonl", "source": {"type": "file_id", "id": id}})


def store(workspace: Workspace, number: int, **more: Any) -> None:
    message = {"role": "assistant", "content": f"A{number}", "tool_calls": None}
    asked = [{"role": "user", "content": f"q{number}"}]
    body = {"model": "tiny", "metadata": {}, "messages": asked, "completion": {"choices": [{"message": message}]}}
    workspace.add_record(STORED, body | more, id=f"chatcmpl-{number}")


def test_stored_completions_are_graded_as_they_were_when_the_run_was_made(workspace: Workspace) -> None:
    for number in range(4):
        store(workspace, number, metadata={"team": "desk"} if number else {})
    store(workspace, 4, model="other", metadata={"team": "desk"})
    check = {**RIGHT, "reference": "A1"}
    made = make_eval(workspace, check, data_source={"type": "stored_completions", "metadata": {"team": "desk"}})
    source = {"type": "stored_completions", "model": "tiny", "limit": 2}
    run = make_run(workspace, made, {"type": "completions", "source": source})
    again = make_run(
        workspace,
        made,
        {
            "type": "completions",
            "source": source,
            "model": "tiny",
            "input_messages": {"type": "item_reference", "item_reference": "item.input"},
        },
    )
    store(workspace, 5, metadata={"team": "desk"})
    work_on(workspace, run.id, Kit(), never)
    items = {item.body["datasource_item_id"]: item.body for item in items_of(workspace, run.id)}
    assert [items[place]["status"] for place in range(2)] == ["pass", "fail"]
    assert items[0]["datasource_item"]["input"] == [{"role": "user", "content": "q1"}]
    assert items[1]["sample"]["output"] == [{"role": "assistant", "content": "A2"}]
    model = Model()
    work_on(workspace, again.id, model.kit, never)
    assert [body["messages"][0]["content"] for body in model.asked] == ["q1", "q2"]
    late = {"type": "completions", "source": {**source, "created_after": 1 << 40}}
    with pytest.raises(InputError, match="No stored chat completion"):
        make_run(workspace, made, late)


@pytest.mark.parametrize(
    ("ref", "said"), [("http://127.0.0.1:9/schema.json", "which it does not hold"), ("#", "leads deeper and deeper")]
)
def test_a_schema_that_leads_nowhere_fails_the_run_and_fetches_nothing(
    workspace: Workspace, ref: str, said: str
) -> None:
    source = {"type": "custom", "item_schema": {"$ref": ref}}
    run = make_run(workspace, make_eval(workspace, data_source=source), given(row("a", "b")))
    work_on(workspace, run.id, Kit(), never)
    assert said in told(workspace, run.id)["error"]["message"]


def test_an_interrupted_run_goes_on_and_grades_nothing_twice(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 2)
    model = Model()
    run = make_run(workspace, make_eval(workspace), drawn(*(row(f"q{number}", f"Q{number}") for number in range(9))))

    def leave() -> None:
        if len([*items_of(workspace, run.id)]) >= 3:
            raise Stopped("leave")

    with pytest.raises(Stopped):
        work_on(workspace, run.id, model.kit, leave)
    before = {item.id for item in items_of(workspace, run.id)}
    assert 3 <= len(before) < 9
    assert told(workspace, run.id)["status"] == "in_progress"
    again = Model()
    work_on(workspace, run.id, again.kit, never)
    done = told(workspace, run.id)
    assert done["result_counts"] == {"passed": 9, "failed": 0, "errored": 0, "total": 9}
    assert len(again.asked) == 9 - len(before)
    assert done["per_model_usage"][0]["invocation_count"] == 9


def test_a_cancelled_run_keeps_what_was_graded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 1)
    run = make_run(workspace, make_eval(workspace), given(row("a", "b", "b"), row("c", "d", "d")))

    def cancel() -> None:
        if [*items_of(workspace, run.id)]:
            cancel_run(workspace, workspace.record(KIND, run.id))
            raise Stopped("cancel")

    work_on(workspace, run.id, Kit(), cancel)
    done = told(workspace, run.id)
    assert (done["status"], done["result_counts"]["total"]) == ("canceled", 1)
    assert render_run(cancel_run(workspace, workspace.record(KIND, run.id))) == done


def test_a_run_that_waits_is_cancelled_at_once_and_a_completed_one_cannot_be(workspace: Workspace) -> None:
    made = make_eval(workspace)
    waits = make_run(workspace, made, given(row("a", "b", "b")))
    assert cancel_run(workspace, waits).body["status"] == "canceled"
    assert workspace.task(waits.id).state == "done"
    work_on(workspace, waits.id, Kit(), never)
    assert told(workspace, waits.id)["result_counts"]["total"] == 0
    done = make_run(workspace, made, given(row("a", "b", "b")))
    work_on(workspace, done.id, Kit(), never)
    with pytest.raises(InputError, match="is completed: it cannot be cancelled"):
        cancel_run(workspace, done)


def test_what_is_removed_is_gone_with_all_that_belongs_to_it(workspace: Workspace) -> None:
    made = make_eval(workspace)
    first, second = (make_run(workspace, made, given(row("a", "b", "b"))) for _ in range(2))
    work_on(workspace, first.id, Kit(), never)
    remove_run(workspace, second)
    assert workspace.task(second.id).state == "done"
    work_on(workspace, second.id, Kit(), never)  # whoever had claimed it finds nothing to do
    remove_eval(workspace, made)
    for kind in ("eval", KIND, ITEM):
        assert workspace.records(kind).records == []


def test_a_run_that_is_removed_while_it_works_leaves_no_items(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 1)
    run = make_run(workspace, make_eval(workspace), given(*(row("a", "b", "b") for _ in range(3))))

    def check() -> None:
        if [*items_of(workspace, run.id)]:
            workspace.remove_record(KIND, run.id)

    work_on(workspace, run.id, Kit(), check)
    assert [*items_of(workspace, run.id)] == []


def test_the_evidence_can_be_measured_again(workspace: Workspace) -> None:
    from tunewright.evaluate.outputs import open_outputs

    run = make_run(workspace, make_eval(workspace), drawn(row("yes", "YES"), row("no", "no")))
    work_on(workspace, run.id, Model().kit, never)
    stored = workspace.artifact(workspace.record(KIND, run.id).body["_evidence"], "grades")
    assert (stored.manifest["run"], stored.manifest["model"]) == (run.id, "tiny")
    file = stored.path / "answers.jsonl"
    assert json.loads(file.read_text().splitlines()[1])["grades"] == {"right": 0.0}
    outputs = open_outputs(file, {}, None)
    answers = [answer for piece in outputs.pieces("tiny") for answer in piece]
    assert [(answer.prediction, answer.question) for answer in answers] == [("YES", "yes"), ("NO", "no")]


def test_the_page_shows_what_did_not_pass_and_escapes_it(workspace: Workspace) -> None:
    run = make_run(
        workspace, make_eval(workspace), given(row("a", "b", "b"), row("q", "b", "<script>alert(1)</script>"))
    )
    work_on(workspace, run.id, Kit(), never)
    page = page_of(workspace.record(KIND, run.id), items_of(workspace, run.id))
    assert "1 of 2 rows passed, 1 did not" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


def test_whoever_gives_up_says_why(workspace: Workspace) -> None:
    run = make_run(workspace, make_eval(workspace), given(row("a", "b")))
    fail(workspace, run.id, "server_error", "its process died 5 times")
    done = told(workspace, run.id)
    assert (done["status"], done["error"]) == (
        "failed",
        {"code": "server_error", "message": "its process died 5 times"},
    )
