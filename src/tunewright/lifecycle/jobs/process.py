"""The process of a task: `python -m tunewright.lifecycle.jobs.process TASK WORKSPACE SETUP WORKER`.

A worker starts it, and it ends with its worker. Exit codes: 0, the task is done; 75, it was stopped, and another one
goes on if it was not cancelled; 76, it cannot go on for now; anything else: the process failed, and the worker tries it
again.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

from tunewright.base.asked import Asked
from tunewright.base.memory import return_freed_pages
from tunewright.lifecycle.jobs.desk import Desk, Later, Reason, Setup, Stopped, handle, reason_of
from tunewright.store import Workspace
from tunewright.store.queue import Task
from tunewright.train.ranks.ending import end_with_parent

DONE, STOPPED, LATER, FAILED = 0, 75, 76, 1


def main(task_id: str, root: str, setup: str, worker: str) -> int:
    """Works on a task for the worker with this process id; gives the exit code."""
    asked = Asked(signal.SIGTERM, signal.SIGINT)  # training notes it itself, and keeps a checkpoint first
    end_with_parent()
    if os.getppid() != int(worker):  # it was gone before anybody looked
        return STOPPED
    # Read by the tokenizers library at its first use, before anything can fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return_freed_pages()
    workspace = Workspace.open(root, create=False)
    task = workspace.task(task_id)

    def reason() -> Reason | None:
        return reason_of(workspace.task(task_id)) if asked.to_end else None

    return work(task, Desk(workspace, Setup.from_text(setup), reason))


def work(task: Task, desk: Desk) -> int:
    """Works on a task here and now; gives the exit code."""
    try:
        handle(task, desk)
    except Stopped:
        return STOPPED
    except Later as later:
        print(later.why, file=sys.stderr, flush=True)
        return LATER
    except Exception:
        traceback.print_exc()
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
