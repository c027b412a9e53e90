"""Work on batches: every request once, in order, whatever comes between."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from tests.lifecycle.batches.made import batch, line, never, reply, results, upload
from tests.workspaces import fresh_workspace
from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.lifecycle.batches import running
from tunewright.lifecycle.batches.answers import FOLDER
from tunewright.lifecycle.batches.batch import KIND, cancel_batch, render_batch
from tunewright.lifecycle.batches.running import fail, work_on
from tunewright.lifecycle.jobs.desk import Stopped
from tunewright.store import Workspace
from tunewright.store.uploads import remove_upload


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return fresh_workspace(tmp_path / "ws")


def told(workspace: Workspace, id: str) -> dict[str, Any]:
    return render_batch(workspace.record(KIND, id))


def test_a_batch_is_answered(workspace: Workspace) -> None:
    file = upload(workspace, [line("a", "one"), line("b", "refuse"), line("c", "three")])
    made = batch(workspace, file, output_expires_after_s=3600, metadata={"team": "x"})
    assert told(workspace, made.id)["status"] == "validating"
    assert workspace.task(made.id).state == "queued"

    work_on(workspace, made.id, reply, never)
    done = told(workspace, made.id)
    assert (done["status"], done["model"], done["metadata"]) == ("completed", "tiny", {"team": "x"})
    assert done["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert done["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 6},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 28,
    }
    assert done["in_progress_at"] <= done["finalizing_at"] <= done["completed_at"]
    output, error = results(workspace, done["output_file_id"]), results(workspace, done["error_file_id"])
    assert [(each["custom_id"], each["error"]) for each in output] == [("a", None), ("c", None)]
    assert output[1]["response"]["status_code"] == 200
    assert output[1]["response"]["body"]["choices"][0]["message"]["content"] == "THREE"
    assert output[0]["id"].startswith("batch_req_")
    assert [(each["custom_id"], each["response"]["status_code"]) for each in error] == [("b", 404)]
    assert error[0]["response"]["body"]["error"]["code"] == "model_not_found"
    kept = workspace.record("file", done["output_file_id"])
    assert (kept.body["purpose"], kept.body["filename"]) == ("batch_output", f"{made.id}_output.jsonl")
    assert kept.body["expires_at"] == kept.created_at + 3600
    assert not (workspace.root / FOLDER / made.id).exists()
    work_on(workspace, made.id, reply, never)  # what has ended stays as it is
    assert told(workspace, made.id) == done


def test_a_wrong_file_fails_the_batch_and_asks_nobody(workspace: Workspace) -> None:
    made = batch(workspace, upload(workspace, [line("a"), line("a")]))

    def nobody(endpoint: str, body: dict[str, Any]) -> Any:
        raise AssertionError("asked")

    work_on(workspace, made.id, nobody, never)
    done = told(workspace, made.id)
    assert (done["status"], done["output_file_id"]) == ("failed", None)
    assert done["errors"]["object"] == "list"
    assert [(each["line"], each["code"]) for each in done["errors"]["data"]] == [(2, "duplicate_custom_id")]


def test_many_requests_are_asked_at_once(workspace: Workspace) -> None:
    together = Barrier(8, timeout=10)

    def waits(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        together.wait()  # goes on once eight of them wait
        return reply(endpoint, body)

    made = batch(workspace, upload(workspace, [line(str(number)) for number in range(8)]))
    work_on(workspace, made.id, waits, never)
    assert told(workspace, made.id)["request_counts"]["completed"] == 8


def _answer_and_die(root: Path, id: str) -> None:
    """Answers 30 requests, and is killed in the middle of the next one's line."""
    workspace = Workspace.open(root)
    asked = 0

    def dies(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        nonlocal asked
        asked += 1
        if asked > 30:
            with (workspace.root / FOLDER / id / "answers.jsonl").open("a") as file:
                file.write('{"line": 99, "ans')
            os.kill(os.getpid(), signal.SIGKILL)
        return reply(endpoint, body)

    running.AT_ONCE = 1
    work_on(workspace, id, dies, never)


def test_a_killed_process_loses_nothing_and_nothing_is_answered_twice(workspace: Workspace) -> None:
    made = batch(workspace, upload(workspace, [line(str(number), f"t{number}") for number in range(100)]))
    process = multiprocessing.get_context("spawn").Process(target=_answer_and_die, args=(workspace.root, made.id))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    again: list[str] = []

    def counts(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        again.append(body["messages"][0]["content"])
        return reply(endpoint, body)

    work_on(workspace, made.id, counts, never)
    assert sorted(again) == sorted(f"t{number}" for number in range(30, 100))
    done = told(workspace, made.id)
    output = results(workspace, done["output_file_id"])
    assert [each["custom_id"] for each in output] == [str(number) for number in range(100)]
    assert done["usage"]["total_tokens"] == 1400


def test_a_process_that_died_between_two_files_goes_on_from_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = batch(workspace, upload(workspace, [line("a"), line("b", "refuse")]))
    keep = running._keep

    def dies(workspace: Workspace, record: Any, name: str, *rest: Any) -> str | None:
        if name == "error":
            raise KeyboardInterrupt
        return keep(workspace, record, name, *rest)

    monkeypatch.setattr(running, "_keep", dies)
    with pytest.raises(KeyboardInterrupt):
        work_on(workspace, made.id, reply, never)
    assert told(workspace, made.id)["status"] == "finalizing"
    monkeypatch.undo()
    work_on(workspace, made.id, reply, never)
    done = told(workspace, made.id)
    assert done["status"] == "completed"
    files = workspace.records("file", where={"purpose": "batch_output"}).records
    assert {each.id for each in files} == {done["output_file_id"], done["error_file_id"]}
    assert len(files) == 2


def test_a_stopped_process_leaves_the_batch_to_the_next(workspace: Workspace) -> None:
    made = batch(workspace, upload(workspace, [line("a")]))

    def leave() -> None:
        raise Stopped("leave")

    with pytest.raises(Stopped):
        work_on(workspace, made.id, reply, leave)
    assert told(workspace, made.id)["status"] == "in_progress"
    work_on(workspace, made.id, reply, never)
    assert told(workspace, made.id)["status"] == "completed"


def test_a_cancelled_batch_keeps_what_was_answered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 1)
    made = batch(workspace, upload(workspace, [line("a"), line("b"), line("c")]))
    first = Event()

    def answers(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        first.set()
        return reply(endpoint, body)

    def check() -> None:
        if first.is_set():
            raise Stopped("cancel")

    work_on(workspace, made.id, answers, check)
    done = told(workspace, made.id)
    assert done["status"] == "cancelled"
    assert done["request_counts"] == {"total": 3, "completed": 1, "failed": 0}
    assert [each["custom_id"] for each in results(workspace, done["output_file_id"])] == ["a"]
    undone = results(workspace, done["error_file_id"])
    assert [(each["custom_id"], each["response"], each["error"]["code"]) for each in undone] == [
        ("b", None, "batch_cancelled"),
        ("c", None, "batch_cancelled"),
    ]
    assert render_batch(cancel_batch(workspace, workspace.record(KIND, made.id))) == done


def test_cancelling_waits_for_what_is_asked_and_for_nothing_else(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "ThreadPoolExecutor", lambda count, **_: ThreadPoolExecutor(1))
    made = batch(workspace, upload(workspace, [line(str(number)) for number in range(5)]))
    asked = Event()

    def answers(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        asked.set()
        time.sleep(0.1)
        return reply(endpoint, body)

    def check() -> None:
        asked.wait(10)
        raise Stopped("cancel")

    began_s = time.monotonic()
    work_on(workspace, made.id, answers, check)
    assert time.monotonic() - began_s < running.DRAIN_S / 2
    done = told(workspace, made.id)
    assert (done["status"], done["request_counts"]["completed"]) == ("cancelled", 1)


def test_a_batch_that_waits_is_cancelled_at_once(workspace: Workspace) -> None:
    made = batch(workspace, upload(workspace, [line("a")]))
    done = render_batch(cancel_batch(workspace, made))
    assert (done["status"], done["output_file_id"], done["error_file_id"]) == ("cancelled", None, None)
    assert done["cancelling_at"] <= done["cancelled_at"]
    assert workspace.task(made.id).state == "done"


def test_a_completed_batch_cannot_be_cancelled(workspace: Workspace) -> None:
    made = batch(workspace, upload(workspace, [line("a")]))
    work_on(workspace, made.id, reply, never)
    with pytest.raises(InputError, match="is completed: it cannot be cancelled"):
        cancel_batch(workspace, workspace.record(KIND, made.id))


def test_what_the_window_leaves_unanswered_expires(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 1)
    made = batch(workspace, upload(workspace, [line("a"), line("b")]))
    workspace.change_record(KIND, made.id, lambda body: {**body, "expires_at": 1})
    work_on(workspace, made.id, reply, never)
    done = told(workspace, made.id)
    assert done["status"] == "expired"
    assert [each["custom_id"] for each in results(workspace, done["output_file_id"])] == ["a"]
    undone = results(workspace, done["error_file_id"])
    assert [(each["custom_id"], each["error"]["code"]) for each in undone] == [("b", "batch_expired")]


def test_a_deleted_input_fails_the_batch(workspace: Workspace) -> None:
    file = upload(workspace, [line("a")])
    made = batch(workspace, file)
    remove_upload(workspace, file)
    work_on(workspace, made.id, reply, never)
    done = told(workspace, made.id)
    assert (done["status"], done["errors"]["data"][0]["code"]) == ("failed", "input_file_deleted")


def test_an_input_that_is_deleted_later_takes_nothing_away(workspace: Workspace) -> None:
    file = upload(workspace, [line("a", "one"), line("b", "two")])
    made = batch(workspace, file)

    def deletes(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        with contextlib.suppress(NoSuchRecordError):
            remove_upload(workspace, file)
        return reply(endpoint, body)

    work_on(workspace, made.id, deletes, never)
    done = told(workspace, made.id)
    assert done["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert len(results(workspace, done["output_file_id"])) == 2


def test_only_files_for_batches_are_taken(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="has the purpose 'evals'"):
        batch(workspace, upload(workspace, [line("a")], purpose="evals"))
    file = upload(workspace, [line("a")])
    with pytest.raises(InputError, match="No such file object"):
        batch(workspace, file, project="other")


def test_whoever_gives_up_says_why(workspace: Workspace) -> None:
    made = batch(workspace, upload(workspace, [line("a")]))
    fail(workspace, made.id, "server_error", "its process died 5 times")
    error = told(workspace, made.id)["errors"]["data"][0]
    assert (error["code"], error["message"]) == ("server_error", "its process died 5 times")
