"""A workspace with a tiny base under an alias, files to learn from, and jobs of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.tiny import tiny_folder
from tunewright.lifecycle.jobs.desk import Desk, Setup, handle
from tunewright.lifecycle.jobs.jobs import EVENT, JOB, Asked
from tunewright.lifecycle.jobs.ordering import order
from tunewright.lifecycle.serving.names import find_served, set_alias
from tunewright.store import Workspace
from tunewright.store.queue import Claims
from tunewright.store.records import Record
from tunewright.store.uploads import receive

MODEL = "gpt-tiny"
COLOURS = ("red", "green", "blue")
LEARNED = {"n_epochs": 4, "batch_size": 8}  # of 30 rows: 15 steps, and epochs that end with 4, 8, 12 and 15


def made_workspace(folder: Path) -> Workspace:
    """A workspace whose `gpt-tiny` is a base of two layers."""
    workspace = Workspace.open(folder / "ws")
    set_alias(workspace, MODEL, str(tiny_folder(folder / "base")))
    return workspace


def chat_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Questions after a colour."""
    return [
        {
            "messages": [
                {"role": "system", "content": "Name the colour."},
                {"role": "user", "content": f"{COLOURS[row % 3]} cup {row}"},
                {"role": "assistant", "content": COLOURS[row % 3]},
            ]
        }
        for row in range(start, start + count)
    ]


def pair_rows(count: int) -> list[dict[str, Any]]:
    """Two answers each to such a question."""
    return [
        {
            "input": {"messages": [{"role": "user", "content": f"{COLOURS[row % 3]} cup {row}"}]},
            "preferred_output": [{"role": "assistant", "content": COLOURS[row % 3]}],
            "non_preferred_output": [{"role": "assistant", "content": "no idea"}],
        }
        for row in range(count)
    ]


def prompt_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Questions after a colour, and what is right beside them."""
    return [
        {
            "messages": [{"role": "user", "content": f"{COLOURS[row % 3]} cup {row}"}],
            "right": {"colour": COLOURS[row % 3]},
        }
        for row in range(start, start + count)
    ]


def uploaded(workspace: Workspace, rows: Iterable[Any], *, purpose: str = "fine-tune") -> str:
    """The id of a file with these rows; a row that is a text is a line as it stands."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    with receive(workspace, filename="rows.jsonl", purpose=purpose, limit_bytes=1 << 20) as upload:
        upload.write("".join(f"{line}\n" for line in lines).encode())
        return upload.keep().id


def ordered(workspace: Workspace, training_file: str, *, model: str = MODEL, **asked: Any) -> Record:
    """A job, just made."""
    wanted = Asked(model, training_file, **{"seed": 7, **asked})
    return order(workspace, wanted, organization="acme", project="default")


def work_off(workspace: Workspace, **setup: Any) -> None:
    """Does all tasks that wait, in this process."""
    claims = Claims(workspace, "test")
    while (task := claims.claim(("validation", "fine_tuning"))) is not None:
        handle(task, Desk(workspace, Setup(**setup)))
        claims.finish(task)


def fresh(workspace: Workspace, job: Record) -> dict[str, Any]:
    """A job's body as it is now."""
    return workspace.record(JOB, job.id).body


def told(workspace: Workspace, job: Record) -> list[dict[str, Any]]:
    """A job's events in order."""
    return [event.body for event in workspace.each_record(EVENT, parent=job.id)]


def steps_told(workspace: Workspace, job: Record) -> list[int]:
    """The steps of a job's events of metrics, in order."""
    return [event["data"]["step"] for event in told(workspace, job) if event["type"] == "metrics"]


def adapter_of(workspace: Workspace, job: Record) -> str:
    """The hash of the adapter that a job's model answers with."""
    return str(find_served(workspace, fresh(workspace, job)["fine_tuned_model"]).adapter)
