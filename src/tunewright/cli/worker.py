"""`worker`: does the jobs that a server, or several, have taken in."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunewright.lifecycle.jobs.worker import Said

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    verb(app, "worker", example="tunewright worker --concurrency 2 --memory 12GB")(worker)


def worker(
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="How many jobs at a time.")] = 1,
    memory: Annotated[
        str,
        typer.Option("--memory", metavar="SIZE", help="What they take together, as in 12GB. Default: what is free."),
    ] = "",
    checkpoint_every: Annotated[
        float, typer.Option("--checkpoint-every", metavar="SECONDS", min=0.01, help="Between two checkpoints of a job.")
    ] = 60.0,
    lease: Annotated[
        float,
        typer.Option("--lease", metavar="SECONDS", min=1, help="After which others take over a silent worker's jobs."),
    ] = 20.0,
    python_graders: Annotated[
        bool, typer.Option("--python-graders", help="Let graders run code, in a sandbox without network and files.")
    ] = False,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End as soon as nothing is left to do.")] = False,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Do the jobs of a workspace, several workers side by side if you like.

    Each job has a process of its own. A worker that is killed loses nothing: another one goes on from the last
    checkpoint. On Ctrl-C its jobs write a checkpoint and are given back.
    """
    from tunewright.lifecycle.jobs.desk import Setup
    from tunewright.lifecycle.jobs.worker import is_idle, work
    from tunewright.models.available import available_bytes
    from tunewright.store import Workspace

    limit = size_of(memory, "--memory") if memory else available_bytes()
    place = Workspace.open(workspace)
    setup = Setup(python_graders, memory_bytes=limit // concurrency, checkpoint_every_s=checkpoint_every)
    say = _speaker(json_output)
    say(f"Working in {place.root}: {concurrency} at a time, {limit / 1e9:.1f} GB together. Ctrl-C ends it.")
    work(
        place,
        concurrency=concurrency,
        memory_bytes=limit,
        setup=setup,
        lease_s=lease,
        until=is_idle if until_idle else lambda _: False,
        listener=say,
    )


def size_of(text: str, where: str) -> int:
    """Bytes of a size such as `12GB` (of 10^9) or `512MiB` (of 2^20).

    Raises:
        InputError: If it is none.
    """
    from tunewright.base.errors import InputError

    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"'{text}' is no size", where=where, hint="As in: 12GB, 512MiB.")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()])


def _speaker(json_output: bool) -> Callable[[Said | str], None]:
    """Says what becomes of tasks on stderr, a line each: for people, or as one JSON object."""
    import json
    import sys

    def say(said: Said | str) -> None:
        if json_output:
            about: dict[str, Any] = {"what": said} if isinstance(said, str) else _fields(said)
            line = json.dumps({"at": round(time.time(), 3), **about})
        else:
            line = f"{time.strftime('%H:%M:%S')} {said}"
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    return say


def _fields(said: Said) -> dict[str, str]:
    return {"what": said.what, "task": said.task, "kind": said.kind}
