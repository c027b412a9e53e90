"""Works on a batch: checks its file, answers many requests at once, and writes what came of it.

Each answer is on disk before it counts. A process that is killed leaves those behind, and the next one goes on from
there: no request that was answered is asked again, and none is left out. Results lie in the order of the requests.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import NoSuchRecordError
from tunewright.base.lines import Lines
from tunewright.lifecycle.batches.answers import (
    Answered,
    Shelf,
    answer_line,
    folder_of,
    lay_in,
    open_answers,
    remember,
    requests_file,
    undone_line,
)
from tunewright.lifecycle.batches.batch import ENDED, KIND, moved, usage_of
from tunewright.lifecycle.batches.requests import Request, check_requests, requests_of
from tunewright.lifecycle.jobs.desk import Stopped
from tunewright.store.records import Record
from tunewright.store.uploads import open_upload, receive

if TYPE_CHECKING:
    from tunewright.store import Workspace

# An endpoint and a request's body in; the status and the answer's body out.
Reply = Callable[[str, dict[str, Any]], tuple[int, Mapping[str, Any]]]

AT_ONCE = 64
# How long a batch that is cancelled, or has expired, waits for requests that are being answered.
DRAIN_S = 60.0
_LOOK_S, _TELL_S = 0.2, 1.0
_NO_LIMIT = 1 << 50

_UNDONE = {
    "cancelled": ("batch_cancelled", "The batch was cancelled before this request was answered."),
    "expired": ("batch_expired", "This request could not be answered before the completion window ended."),
}


def work_on(workspace: Workspace, id: str, reply: Reply, check: Callable[[], None]) -> None:
    """Does a batch, or goes on with it.

    Args:
        reply: Answers one request; called from several threads.
        check: Raises `Stopped` once the work shall stop.

    Raises:
        Stopped: If another process shall go on with it later.
    """
    record = workspace.record(KIND, id)
    try:
        if record.body["status"] == "validating":
            record = _validate(workspace, record)
        if record.body["status"] in ENDED:
            return
        outcome = "cancelled"
        if record.body["status"] == "in_progress":
            outcome = _answer_all(workspace, record, reply, check)
        elif record.body["status"] == "finalizing":
            outcome = record.body["_outcome"]
        finish(workspace, workspace.record(KIND, id), outcome)
    except NoSuchRecordError as error:
        if error.kind != "file":
            raise
        fail(workspace, id, "input_file_deleted", f"The input file was deleted: {record.body['input_file_id']}.")


def finish(workspace: Workspace, record: Record, outcome: str) -> Record:
    """Writes the files of a batch, and ends it.

    Args:
        outcome: `completed`, `expired` or `cancelled`.
    """
    if record.body["status"] == "cancelling":
        outcome = "cancelled"
    else:
        record = workspace.change_record(
            KIND, record.id, lambda body: moved(body, "finalizing", _outcome=outcome) if _is_open(body) else body
        )
    folder = folder_of(workspace.root, record.id)
    found: dict[str, str | None] = {"output": None, "error": None}
    with open_answers(folder) as answers:
        if record.body["request_counts"]["total"]:
            with Shelf(folder) as shelf:
                found = {name: _keep(workspace, record, name, shelf, outcome) for name in found}
        values = _told(answers.values, record.body["request_counts"]["total"])
    ended = workspace.change_record(
        KIND,
        record.id,
        lambda body: moved(body, outcome, output_file_id=found["output"], error_file_id=found["error"], **values),
    )
    shutil.rmtree(folder, ignore_errors=True)
    return ended


def fail(workspace: Workspace, id: str, code: str, message: str) -> None:
    """Ends a batch that cannot be worked on."""
    errors = {"object": "list", "data": [{"code": code, "line": None, "message": message, "param": None}]}
    workspace.change_record(
        KIND, id, lambda body: body if body["status"] in ENDED else moved(body, "failed", errors=errors)
    )
    shutil.rmtree(folder_of(workspace.root, id), ignore_errors=True)


def _validate(workspace: Workspace, record: Record) -> Record:
    folder = folder_of(workspace.root, record.id)
    path = lay_in(folder, open_upload(workspace, workspace.record("file", record.body["input_file_id"])))
    checked = check_requests(path, record.body["endpoint"])

    def begin(body: dict[str, Any]) -> dict[str, Any]:
        if body["status"] != "validating":
            return body  # it was cancelled meanwhile
        if checked.errors:
            return moved(body, "failed", errors={"object": "list", "data": [*checked.errors]})
        counts = {"total": checked.total, "completed": 0, "failed": 0}
        return moved(body, "in_progress", model=checked.model, request_counts=counts)

    begun = workspace.change_record(KIND, record.id, begin)
    if begun.body["status"] in ENDED:
        shutil.rmtree(folder, ignore_errors=True)
    return begun


def _answer_all(workspace: Workspace, record: Record, reply: Reply, check: Callable[[], None]) -> str:
    """Answers what is not answered yet, and says how that ended."""
    endpoint = record.body["endpoint"]
    path = open_upload(workspace, workspace.record("file", record.body["input_file_id"]))
    with open_answers(folder_of(workspace.root, record.id)) as answers:
        done = {each.line for each in answers.values}
        work = _Work(
            workspace, record, answers, (each for each in requests_of(path, endpoint) if each.line not in done)
        )
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="batch")
        try:
            outcome = "completed"
            while work.ask_more(lambda request: pool.submit(reply, endpoint, request.body)):
                check()
                if time.time() >= record.body["expires_at"]:
                    outcome = "expired"
                    break
                work.take(_LOOK_S)
        except Stopped as stop:
            if stop.reason != "cancel":
                raise
            outcome = "cancelled"
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        work.forget_unasked()
        until = time.monotonic() + DRAIN_S
        while work.asked and (left := until - time.monotonic()) > 0:
            work.take(left)
        return outcome


class _Work:
    """The requests of a batch that are being answered."""

    def __init__(
        self, workspace: Workspace, record: Record, answers: Lines[Answered], requests: Iterator[Request]
    ) -> None:
        self.asked: dict[Future[tuple[int, Mapping[str, Any]]], Request] = {}
        self._workspace, self._record, self._answers, self._requests = workspace, record, answers, requests
        self._told_s = time.monotonic()

    def ask_more(self, ask: Callable[[Request], Future[tuple[int, Mapping[str, Any]]]]) -> bool:
        """Asks as many as fit; False once all are answered."""
        while len(self.asked) < AT_ONCE and (request := next(self._requests, None)) is not None:
            self.asked[ask(request)] = request
        return bool(self.asked)

    def forget_unasked(self) -> None:
        """Leaves out what no thread had begun when the pool was shut: nobody would ever tell of it."""
        self.asked = {future: request for future, request in self.asked.items() if not future.cancelled()}

    def take(self, timeout_s: float) -> None:
        """Puts on disk what is answered, and says now and then how far the batch is."""
        ready, _ = wait(self.asked, timeout=timeout_s, return_when=FIRST_COMPLETED)
        for future in ready:
            request = self.asked.pop(future)
            self._answers.add(*remember(request.line, answer_line(request, *future.result())))
        if ready and time.monotonic() - self._told_s >= _TELL_S:
            self._told_s = time.monotonic()
            values = _told(self._answers.values, self._record.body["request_counts"]["total"])
            self._workspace.change_record(KIND, self._record.id, lambda body: {**body, **values})


def _keep(workspace: Workspace, record: Record, name: str, shelf: Shelf, outcome: str) -> str | None:
    """Writes the output or the error file, and gives its id; None where nothing would stand in it.

    The id is noted before the file is there, so that a process that goes on here finds the file instead of writing it
    again.
    """
    field = f"_{name}_file_id"
    if planned := record.body.get(field):
        try:
            return workspace.record("file", planned).id
        except NoSuchRecordError:
            pass  # it was killed between the two; what it wrote is swept away with other half files
    lines = _lines(workspace, record, name, shelf, outcome)
    first = next(lines, None)
    if first is None:
        return None
    with receive(
        workspace,
        filename=f"{record.id}_{name}.jsonl",
        purpose="batch_output",
        project=record.project,
        expires_after_s=record.body["_output_expires_after_s"],
        limit_bytes=_NO_LIMIT,
    ) as upload:
        for line in chain((first,), lines):
            upload.write(_written(line))
        workspace.change_record(KIND, record.id, lambda body: {**body, field: upload.id})
        return upload.keep().id


def _lines(workspace: Workspace, record: Record, name: str, shelf: Shelf, outcome: str) -> Iterator[Mapping[str, Any]]:
    path = requests_file(folder_of(workspace.root, record.id))
    for request in requests_of(path, record.body["endpoint"]):
        answer = shelf.find(request.line)
        if answer is None:
            answer = undone_line(request, *_UNDONE[outcome])
        is_error = answer["response"] is None or answer["response"]["status_code"] >= 400
        if is_error == (name == "error"):
            yield answer


def _written(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _told(answers: list[Answered], total: int) -> dict[str, Any]:
    """Counts and tokens, as a batch says them."""
    errors = Counter(each.is_error for each in answers)
    read, written = sum(each.read for each in answers), sum(each.written for each in answers)
    return {
        "request_counts": {"total": total, "completed": errors[False], "failed": errors[True]},
        "usage": usage_of(read, written, sum(each.cached for each in answers)),
    }


def _is_open(body: Mapping[str, Any]) -> bool:
    return body["status"] not in ("cancelling", *ENDED)
