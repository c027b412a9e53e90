"""A workspace in which the objects stand that the client's suite names.

Everything is first made as anybody would make it, through the official client on a running server: files, a job that
trains a tiny model, its checkpoints, a chat, an eval with a run. Then each object's record is copied under the id that
the suite asks for, by the store's own functions. So the server knows nothing of those ids, and the harness nothing of
how objects look inside.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai import OpenAI
from putting_back import put_file, put_record

from tests.server.process import NotReady, started
from tests.tiny import tiny_folder
from tests.tiny_encoder import encoder_folder
from tunewright.lifecycle.serving.names import MODEL, set_alias
from tunewright.store import Record, Workspace

# Names that the suite asks models by.
CHAT_NAMES = ("gpt-6-astra", "gpt-4o-mini", "gpt-3.5-turbo-instruct", "model")
EMBEDDING_NAME = "text-embedding-3-small"
FINE_TUNED = ("ft:gpt-4o-mini:acemeco:suffix:abc123", "ft:gpt-4o-mini-2024-07-18:org:weather:B7R9VjQd")
JOB = "ft-AF1WoRqd3aJAHsqc9NY7iL8F"  # and, in the tests of permissions, a checkpoint's name
PERMISSION = "cp_zc4Q7MP6XxulcVzj4MZdwsAB"
# Every list is asked for what comes after the object of this id.
AFTER = "after"
FILES = {"file_id": "assistants", "file-abc123": "fine-tune", "input_file_id": "batch", AFTER: "assistants"}

_CONTEXT = 160  # tokens: where the suite names no limit, answers go on to the context's end
_LONGEST_S = 300.0
_LOOK_EVERY_S = 0.5


class WorldFailed(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """The server did not do what everything else stands on."""


@dataclass(frozen=True)
class World:
    """What is served.

    Args:
        workspace: Where.
        snapshot: The file from which objects are put back.
        log: The server's.
    """

    workspace: Path
    snapshot: Path
    log: Path


@dataclass
class Copies:
    """Records under the suite's ids.

    Args:
        workspace: Where they go.
        made: They themselves, as `putting_back.put_record` takes them.
    """

    workspace: Workspace
    made: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Record, id: str, *, parent: str | None = None, **names: Any) -> None:
        """Copies a record under an id, and under another parent.

        Args:
            names: Fields of the body that name other objects, and what they name in the copy.
        """
        body = {**_renamed(record.body, record.id, id), **names}
        above = record.parent if parent is None else parent
        self.made.append({"kind": record.kind, "id": id, "parent": above, "body": body})
        put_record(self.workspace, **self.made[-1])

    def add_with_after(self, record: Record, id: str, *, parent: str | None = None, **names: Any) -> None:
        """The same, and once more under the id that lists are asked to begin behind."""
        for each in (id, AFTER):
            self.add(record, each, parent=parent, **names)


def make_world(folder: Path) -> World:
    """Makes it all; takes as long as training a tiny model does.

    Raises:
        WorldFailed: If the server does not come up, or a job or an eval does not succeed.
    """
    world = World(folder / "workspace", folder / "snapshot.json", folder / "server.log")
    workspace = Workspace.open(world.workspace)
    base = str(tiny_folder(folder / "base", max_position_embeddings=_CONTEXT))
    for name in CHAT_NAMES:
        set_alias(workspace, name, base)
    set_alias(workspace, EMBEDDING_NAME, str(encoder_folder(folder / "encoder")))
    files = [
        {"id": id, "filename": "rows.jsonl", "purpose": purpose, "content": _CONTENTS[purpose]}
        for id, purpose in FILES.items()
    ]
    for file in files:
        put_file(workspace, **file)
    copies = Copies(workspace)
    with serving(world) as url, OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        _fine_tuning(copies, client)
        _inference(copies, client)
        _evals(copies, client)
    snapshot = {"workspace": str(world.workspace), "files": files, "records": copies.made}
    world.snapshot.write_text(json.dumps(snapshot), encoding="utf-8")
    return world


@contextlib.contextmanager
def serving(world: World, *flags: str) -> Iterator[str]:
    """The server on it; yields its base URL, which ends in /v1.

    Raises:
        WorldFailed: If it does not come up.
    """
    try:
        with started(world.workspace, *flags, log=world.log) as url:
            yield f"{url}/v1"
    except NotReady as error:
        raise WorldFailed(str(error)) from error


def _fine_tuning(copies: Copies, client: OpenAI) -> None:
    find = copies.workspace.record
    settings: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 5}}}
    job = client.fine_tuning.jobs.create(
        model=CHAT_NAMES[0], training_file="file-abc123", method=settings, metadata={"foo": "string"}
    )
    # As it was when it was made: one that has ended cannot be paused or cancelled.
    copies.add_with_after(find("job", job.id), JOB)
    done = _until(lambda: client.fine_tuning.jobs.retrieve(job.id), ("succeeded",), ("failed", "cancelled"))
    model = find(MODEL, done.fine_tuned_model)
    for name in (*FINE_TUNED, JOB):
        copies.add(model, name)
    (event, *_), (checkpoint, *_) = (
        client.fine_tuning.jobs.list_events(job.id).data,
        client.fine_tuning.jobs.checkpoints.list(job.id).data,
    )
    copies.add_with_after(find("job_event", event.id), "ftevent-copied", parent=JOB)
    copies.add_with_after(find("job_checkpoint", checkpoint.id), "ftckpt_copied", parent=JOB, fine_tuning_job_id=JOB)
    permissions = client.fine_tuning.checkpoints.permissions
    (granted,) = permissions.create(done.fine_tuned_model, project_ids=["project_id"]).data
    permission = find("checkpoint_permission", granted.id)
    copies.add(permission, PERMISSION, parent=FINE_TUNED[1])
    copies.add(permission, AFTER, parent=JOB)


def _inference(copies: Copies, client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "red lamp"}]
    chat = client.chat.completions.create(
        model="model", messages=messages, store=True, max_tokens=4, metadata={"foo": "string"}
    )
    stored = copies.workspace.record("chat_completion", chat.id)
    # Its messages are a list too, which the suite asks for from behind one of this name.
    messages = [{**message, "id": AFTER} for message in stored.body["messages"]]
    copies.add_with_after(stored, "completion_id", messages=messages)


def _evals(copies: Copies, client: OpenAI) -> None:
    find = copies.workspace.record
    check: Any = {
        "type": "string_check",
        "name": "name",
        "input": "{{item.foo}}",
        "operation": "eq",
        "reference": "bar",
    }
    made = client.evals.create(
        data_source_config={"type": "custom", "item_schema": {"foo": "bar"}}, testing_criteria=[check]
    )
    content: Any = [{"item": {"foo": "bar"}}, {"item": {"foo": "baz"}}]
    run = client.evals.runs.create(
        made.id, data_source={"type": "jsonl", "source": {"type": "file_content", "content": content}}
    )
    early = find("eval_run", run.id)  # as it was when it was made: one that has ended cannot be cancelled
    _until(lambda: client.evals.runs.retrieve(run.id, eval_id=made.id), ("completed",), ("failed", "canceled"))
    (item, *_) = client.evals.runs.output_items.list(run.id, eval_id=made.id).data
    copies.add_with_after(find("eval", made.id), "eval_id")
    copies.add_with_after(early, "run_id", parent="eval_id", eval_id="eval_id")
    copies.add_with_after(
        find("eval_item", item.id), "output_item_id", parent="run_id", eval_id="eval_id", run_id="run_id"
    )
    batch = client.batches.create(
        endpoint="/v1/chat/completions", input_file_id="input_file_id", completion_window="24h"
    )
    copies.add_with_after(find("batch", batch.id), "batch_id")


def _until(look: Callable[[], Any], good: tuple[str, ...], bad: tuple[str, ...]) -> Any:
    """An object once its status is a good one.

    Raises:
        WorldFailed: If it is a bad one, or nothing comes of it.
    """
    until = time.monotonic() + _LONGEST_S
    while (found := look()).status not in good:
        if found.status in bad or time.monotonic() > until:
            raise WorldFailed(f"{found.id} is {found.status}: {found.error}")
        time.sleep(_LOOK_EVERY_S)
    return found


def _renamed(value: Any, old: str, new: str) -> Any:
    """A body in which one object's id is another."""
    if isinstance(value, Mapping):
        return {key: _renamed(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, old, new) for each in value]
    return new if value == old else value


def _chat_row(number: int) -> str:
    colour = ("red", "green", "blue")[number % 3]
    said = [("user", f"{colour} lamp {number}"), ("assistant", colour)]
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in said]})


def _request_row(number: int) -> str:
    body = {"model": "model", "messages": [{"role": "user", "content": "red"}], "max_tokens": 2}
    return json.dumps({"custom_id": f"{number}", "method": "POST", "url": "/v1/chat/completions", "body": body})


_CONTENTS = {
    "fine-tune": "".join(_chat_row(number) + "\n" for number in range(10)),
    "batch": "".join(_request_row(number) + "\n" for number in range(2)),
    "assistants": "Example data",
}
