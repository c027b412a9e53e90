from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from sqlalchemy import Connection

from tests.store.processes import ended, killed_at, program
from tunewright.base.errors import DatabaseAwayError, DataError, DiskFullError, UnknownNameError, WorkspaceError
from tunewright.base.events import Artifact, Message, Metrics, Stage
from tunewright.store import Workspace, runs
from tunewright.store.database import Database


def test_a_run_goes_from_queued_to_its_end(workspace: Workspace) -> None:
    run = workspace.start_run("support-desk", "run", {"seed": 17, "data": {"train": (Path("/a.csv"),)}})
    assert re.fullmatch(r"\d{8}-\d{6}-[a-z0-9]{4}", run.id)
    assert run.folder == workspace.root / "runs" / run.id
    assert run.folder.is_dir()
    assert (run.status, run.started_at, run.recipe) == ("queued", None, {"seed": 17, "data": {"train": ["/a.csv"]}})
    with run.lock():
        assert run.status == "running"
        run.finish("succeeded")
    assert (run.status, run.error) == ("succeeded", None)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.created_at <= run.started_at <= run.finished_at
    assert json.loads(json.dumps(run.as_json()))["status"] == "succeeded"


def test_a_failed_run_says_why(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})
    run.finish("failed", DataError("This file is empty", where="a.csv", hint="Fill it."))
    assert run.error == {"type": "DataError", "what": "This file is empty", "where": "a.csv", "hint": "Fill it."}
    run.finish("failed", ZeroDivisionError("division by zero"))
    assert run.error == {"type": "ZeroDivisionError", "what": "division by zero", "where": "", "hint": ""}


def test_the_manifest_grows(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})
    run.update_manifest(threads=2, budget=np.int64(2048))
    run.update_manifest(threads=1, backend="segments")
    assert workspace.find_run(run.id).manifest == {"threads": 1, "budget": 2048, "backend": "segments"}


def test_runs_are_found_by_id_beginning_and_name(workspace: Workspace) -> None:
    first = workspace.start_run("support-desk", "run", {})
    second = workspace.start_run("support-desk", "train", {})
    assert workspace.find_run(first.id).id == first.id
    assert workspace.find_run(first.id[:-1]).id == first.id
    assert workspace.find_run("support-desk").id == second.id
    assert workspace.find_run("support-desk", kind="run").id == first.id
    with pytest.raises(WorkspaceError, match="is ambiguous"):
        workspace.find_run(first.id[:4])
    with pytest.raises(WorkspaceError, match="Did you mean 'support-desk'"):
        workspace.find_run("suport-desk")
    with pytest.raises(WorkspaceError, match="No run is called '%'"):
        workspace.find_run("%")


def test_an_empty_workspace_says_that_it_has_no_run(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="This workspace has no run yet"):
        workspace.find_run("demo")


def test_runs_are_listed_newest_first(workspace: Workspace) -> None:
    ids = [workspace.start_run(name, "run", {}).id for name in ("a", "b", "a")]
    assert [run.id for run in workspace.runs()] == ids[::-1]
    assert [run.id for run in workspace.runs(name="a")] == [ids[2], ids[0]]
    assert [run.id for run in workspace.runs(limit=1)] == [ids[2]]
    workspace.find_run(ids[0]).finish("cancelled")
    assert [run.id for run in workspace.runs(status="cancelled")] == [ids[0]]


def test_events_come_back_in_order_and_as_they_were(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})
    events = [
        Stage("prepare", "started"),
        Message("12 rows refused", "warning"),
        *(Metrics("train", step, 300, {"loss": 1.0 / step}) for step in range(1, 301)),
        Artifact("adapter", "abc", "/somewhere"),
        Stage("train", "finished", 300, 300, "step", "4.1 examples/s"),
    ]
    for event in events:
        run.emit(event)
    assert workspace.find_run(run.id).events() == events
    assert run.events("metrics") == events[2:-2]
    log = run.log()
    assert [recorded.seq for recorded in log] == sorted({recorded.seq for recorded in log})
    assert [recorded.event for recorded in run.log(after=log[-2].seq)] == events[-1:]
    lines = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == [event.kind for event in events]


def test_metrics_wait_and_everything_else_is_written_at_once(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})
    run.emit(Stage("train", "started"))
    log = run.folder / "events.jsonl"
    run.emit(Metrics("train", 1, 2, {"loss": 1.0}))
    run.emit(Stage("train", "progress", 1, 2))
    assert len(log.read_text().splitlines()) == 1
    run.emit(Stage("train", "finished"))
    assert len(log.read_text().splitlines()) == 4
    run.emit(Metrics("train", 2, 2, {"loss": 1.0}))
    run.finish("succeeded")
    assert len(log.read_text().splitlines()) == 5


def test_what_is_not_a_number_is_null(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})
    run.emit(Metrics("train", 1, 2, {"loss": float("nan"), "norm": float("inf"), "rate": np.float32(0.5)}))
    (event,) = run.events()
    assert isinstance(event, Metrics)
    assert event.values == {"loss": None, "norm": None, "rate": 0.5}
    assert json.loads((run.folder / "events.jsonl").read_text())["values"]["loss"] is None


def test_a_half_written_log_line_is_closed(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})
    run.emit(Message("one"))
    with (run.folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "mess')
    run.emit(Message("two"))
    lines = (run.folder / "events.jsonl").read_text().splitlines()
    assert [json.loads(lines[index])["text"] for index in (0, 2)] == ["one", "two"]


def test_threads_may_emit_together(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})

    def work(name: str) -> None:
        for step in range(200):
            run.emit(Metrics(name, step, 200))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = run.events()
    for name in ("a", "b"):
        steps = [event.step for event in events if isinstance(event, Metrics) and event.stage == name]
        assert steps == list(range(200))


WORK = """
import sys, time
from pathlib import Path
from tunewright.base.events import Message
from tunewright.store import Workspace

run = Workspace.open(sys.argv[1]).find_run(sys.argv[2])
with run.lock():
    run.emit(Message("begun"))
    Path(sys.argv[3]).touch()
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_is_interrupted(workspace: Workspace, tmp_path: Path) -> None:
    run = workspace.start_run("demo", "run", {})
    marker = tmp_path / "working"
    process = program(WORK, workspace.root, run.id, marker)
    while not marker.exists():
        assert process.poll() is None, process.communicate()[1]
    assert run.status == "running"
    with pytest.raises(WorkspaceError, match=f"Another process is working on the run {run.id}"), run.lock():
        pytest.fail("two processes hold one run")
    killed_at(process, marker)
    assert [found.id for found in workspace.runs(status="interrupted")] == [run.id]
    assert run.status == "interrupted"
    assert run.events() == [Message("begun")]
    with run.lock():  # and it may go on
        assert run.status == "running"
        run.finish("succeeded")
    assert run.status == "succeeded"


def test_an_error_inside_the_lock_leaves_the_run_interrupted_and_its_events_written(workspace: Workspace) -> None:
    run = workspace.start_run("demo", "run", {})

    def work() -> None:
        with run.lock():
            run.emit(Metrics("train", 1, 2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert run.status == "interrupted"
    assert (run.folder / "events.jsonl").read_text().count("\n") == 1


def test_the_first_error_is_the_one_that_is_seen(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = workspace.start_run("demo", "run", {})

    def full() -> None:
        raise DiskFullError("No space is left for the workspace database")

    def work() -> None:
        with run.lock():
            monkeypatch.setattr(run, "flush", full)
            raise ValueError("first")

    with pytest.raises(ValueError, match="first") as caught:
        work()
    assert "No space is left" in caught.value.__notes__[0]
    with run.lock():  # the lock is free again
        monkeypatch.undo()


def test_two_runs_work_in_one_workspace_at_once(workspace: Workspace) -> None:
    code = """
    import sys
    from tunewright.base.events import Metrics, Stage
    from tunewright.store import Workspace
    workspace = Workspace.open(sys.argv[1])
    run = workspace.start_run(sys.argv[2], "run", {})
    with run.lock():
        for step in range(200):
            run.emit(Metrics("train", step, 200, {"loss": 1.0}))
            if step % 20 == 0:
                run.emit(Stage("train", "started"))
                workspace.put("x", lambda f: (f / "x").write_text(str(step)), manifest={}, producer=run.id)
        run.finish("succeeded")
    """
    for process in [program(code, workspace.root, name) for name in ("a", "b")]:
        ended(process)
    for name in ("a", "b"):
        run = workspace.find_run(name)
        assert run.status == "succeeded"
        assert len(run.events("metrics")) == 200


def test_an_event_of_an_unknown_kind_is_refused() -> None:
    from tunewright.base.events import from_json

    with pytest.raises(UnknownNameError, match="Did you mean 'message'"):
        from_json({"kind": "mesage"})


@pytest.mark.parametrize("is_kept", [False, True])
def test_events_whose_writing_was_cut_off_stand_in_the_log_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    run = workspace.start_run("demo", "run", {})
    run.emit(Message("before"))
    original = Database.write

    @contextlib.contextmanager
    def cut_off(database: Database) -> Iterator[Connection]:
        with original(database) as connection:
            yield connection
            if not is_kept:
                raise DatabaseAwayError("gone")
        raise DatabaseAwayError("gone, and perhaps it was kept")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", cut_off)
        for text in ("first", "second"):
            run.emit(Message(text))
        with pytest.raises(DatabaseAwayError):
            run.flush()
    run.emit(Message("after"))
    said = ["before", "first", "second", "after"]
    assert run.events() == [Message(text) for text in said]
    lines = (run.folder / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == said


def test_events_do_not_wait_for_ever_in_memory(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(database: Database) -> NoReturn:
        raise DatabaseAwayError("gone")

    run = workspace.start_run("demo", "run", {})
    monkeypatch.setattr(Database, "write", away)
    monkeypatch.setattr(runs, "MOST_WAITING_EVENTS", 3)
    run.emit(Message("1"))
    run.emit(Message("2"))
    with pytest.raises(DatabaseAwayError):
        run.emit(Message("3"))
