"""Works on a run of an eval: answers its rows, many at once, grades the answers, and keeps the evidence.

Each row's item is a record as soon as it is graded, under an id that follows from the run and the row. So a process
that takes over from one that was killed grades what is left, and nothing twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.evaluate.graders import GraderConfig, GradingError, Kit, Look, Spent, grade, parse_grader
from tunewright.lifecycle.evals.rows import Row, check_rows, rows_of
from tunewright.lifecycle.evals.run import ENDED, ITEM, KIND, items_of, remove_items
from tunewright.lifecycle.evals.sampling import Answer, answer_given, draw_answer, is_answered
from tunewright.lifecycle.evals.tally import ERROR, FAIL, PASS, Tally, kept
from tunewright.lifecycle.jobs.desk import Stopped
from tunewright.store.records import Record

if TYPE_CHECKING:
    from tunewright.store import Workspace

AT_ONCE = 32
_LOOK_S, _TELL_S = 0.2, 1.0


def work_on(workspace: Workspace, id: str, kit: Kit, check: Callable[[], None]) -> None:
    """Does a run, or goes on with it.

    Args:
        kit: What graders may use; its `ask` answers the rows too.
        check: Raises `Stopped` once the work shall stop.

    Raises:
        Stopped: If another process shall go on with it later.
    """
    try:
        _work_on(workspace, workspace.record(KIND, id), kit, check)
    except NoSuchRecordError as error:
        if error.kind != KIND:
            raise
        remove_items(workspace, id)  # somebody has deleted the run meanwhile


def fail(workspace: Workspace, id: str, code: str, message: str) -> None:
    """Ends a run that cannot be worked on."""
    error = {"code": code, "message": message}
    workspace.change_record(KIND, id, lambda body: _moved(body, "failed", error=error))


def _work_on(workspace: Workspace, run: Record, kit: Kit, check: Callable[[], None]) -> None:
    run = workspace.change_record(KIND, run.id, lambda body: _moved(body, "in_progress"))
    if run.body["status"] != "in_progress":
        return
    try:
        check_rows(workspace, run)
    except InputError as error:
        fail(workspace, run.id, "invalid_data", str(error))
        return
    criteria = [parse_grader(raw) for raw in run.body["_criteria"]]
    tally = Tally(grader.name for grader in criteria)
    done = set()
    for item in items_of(workspace, run.id):
        tally.add(item.body)
        done.add(item.body["datasource_item_id"])
    try:
        _grade_all(
            workspace, run, (row for row in rows_of(workspace, run) if row.number not in done), tally, kit, check
        )
    except Stopped as stop:
        if stop.reason != "cancel":
            raise
        workspace.change_record(KIND, run.id, lambda body: {**_moved(body, "canceled"), **tally.as_json()})
        return
    evidence = _keep_evidence(workspace, run)
    workspace.change_record(
        KIND, run.id, lambda body: {**_moved(body, "completed", _evidence=evidence), **tally.as_json()}
    )


def _grade_all(
    workspace: Workspace, run: Record, rows: Iterator[Row], tally: Tally, kit: Kit, check: Callable[[], None]
) -> None:
    grade_row = partial(_grade_row, run.body["data_source"], [parse_grader(raw) for raw in run.body["_criteria"]], kit)
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="eval")
    asked: dict[Future[dict[str, Any]], Row] = {}
    told_s = time.monotonic()
    try:
        while True:
            while len(asked) < AT_ONCE and (row := next(rows, None)) is not None:
                asked[pool.submit(grade_row, row)] = row
            if not asked:
                return
            check()
            for future in wait(asked, timeout=_LOOK_S, return_when=FIRST_COMPLETED)[0]:
                row = asked.pop(future)
                tally.add(_keep_item(workspace, run, row, future.result()))
            if time.monotonic() - told_s >= _TELL_S:
                told_s = time.monotonic()
                workspace.change_record(KIND, run.id, lambda body: {**body, **tally.as_json()})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _keep_item(workspace: Workspace, run: Record, row: Row, graded: Mapping[str, Any]) -> Mapping[str, Any]:
    """Puts a row's item on record; what stands there already stays: a process that was thought dead may still write."""
    id = f"outputitem_{run.id.partition('_')[2]}_{row.number}"
    body = {"eval_id": run.parent, "run_id": run.id, **_without_nul(graded)}
    try:
        return workspace.add_record(ITEM, body, id=id, parent=run.id, project=run.project).body
    except InputError:
        return workspace.record(ITEM, id).body


def _without_nul(value: Any) -> Any:
    """What a model has said, without the one character that a database does not keep as text."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    return [_without_nul(each) for each in value] if isinstance(value, list | tuple) else value


def _grade_row(source: Mapping[str, Any], criteria: list[GraderConfig], kit: Kit, row: Row) -> dict[str, Any]:
    """A row's item: its answer, and what each grader says of that."""
    if is_answered(source):
        answer = answer_given(row.sample)
    else:
        assert kit.ask is not None, "whoever works on runs brings models to ask"
        answer = draw_answer(source, row.item, kit.ask)
    results, spent = _results(criteria, kit, row, answer)
    if any((result["sample"] or {}).get("error") for result in results):
        status = ERROR
    else:
        status = PASS if all(result["passed"] for result in results) else FAIL
    return {
        "datasource_item": row.item,
        "datasource_item_id": row.number,
        "results": results,
        "sample": answer.shown,
        "status": status,
        "_spent": kept(spent),
    }


def _results(
    criteria: list[GraderConfig], kit: Kit, row: Row, answer: Answer
) -> tuple[list[dict[str, Any]], list[Spent]]:
    results: list[dict[str, Any]] = []
    spent = [] if answer.spent is None else [answer.spent]
    for grader in criteria:
        result: dict[str, Any] = {"name": grader.name, "type": grader.type, "passed": False, "score": 0.0}
        try:
            if answer.error is not None:
                raise GradingError("other_error", f"There is no answer to grade: {answer.error.rstrip('.')}")
            graded = grade(grader, Look(row.item, answer.sample), kit)
            said = None if graded.said is None else dict(graded.said)
            result |= {"passed": graded.passed, "score": graded.score, "sample": said}
            spent += graded.spent
        except GradingError as error:
            result["sample"] = {"error": {"code": error.kind, "message": str(error)}}
        results.append(result)
    return results, spent


def _keep_evidence(workspace: Workspace, run: Record) -> str:
    """Stores rows, answers and grades as an artifact; its hash.

    One line a row, with the column names that `tunewright eval --outputs` knows: what a run has measured can be
    measured again by any metric of ours.
    """

    def fill(folder: Path) -> None:
        with (folder / "answers.jsonl").open("w", encoding="utf-8") as file:
            for item in sorted(items_of(workspace, run.id), key=lambda item: int(item.body["datasource_item_id"])):
                file.write(json.dumps(_evidence(item.body), ensure_ascii=False) + "\n")

    manifest = {"run": run.id, "eval": run.parent, "model": run.body["model"], "criteria": run.body["_criteria"]}
    return workspace.put("grades", fill, manifest=manifest).hash


def _evidence(item: Mapping[str, Any]) -> dict[str, Any]:
    sample = item["sample"]
    return {
        **item["datasource_item"],
        "id": str(item["datasource_item_id"]),
        "system": sample["model"] or "given",
        "prediction": "".join(each.get("content") or "" for each in sample["output"]),
        "finish_reason": sample["finish_reason"],
        "status": item["status"],
        "grades": {result["name"]: result["score"] for result in item["results"]},
    }


def _moved(body: Mapping[str, Any], status: str, **more: Any) -> dict[str, Any]:
    """A run's body in another state, unless it has ended already."""
    return dict(body) if body["status"] in ENDED else {**body, **more, "status": status}
