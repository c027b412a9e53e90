"""The worker beside a server: `python -m tunewright.server.worker_process ORDER`, started by `server.start`.

It ends with its server, however that ends: what is under way is given back with a checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tunewright.base.asked import Asked
from tunewright.server import logs

if TYPE_CHECKING:
    from tunewright.lifecycle.jobs.worker import Said


@dataclass(frozen=True)
class Order:
    """What the server tells its worker.

    Args:
        server: The server's process.
        workspace: The workspace's folder.
        memory_bytes: What its tasks may take together.
        python_graders: Whether graders may run code.
        log: The form of its log.
    """

    server: int
    workspace: str
    memory_bytes: int
    python_graders: bool
    log: logs.Format

    def command(self) -> tuple[str, ...]:
        """How the process is started: by this server's own Python."""
        return (sys.executable, "-m", __name__, json.dumps(asdict(self)))


def main(text: str) -> None:
    """Works until it is asked to end, or its server is gone."""
    asked = Asked(signal.SIGTERM)
    from tunewright.base.memory import return_freed_pages
    from tunewright.lifecycle.jobs.desk import Setup
    from tunewright.lifecycle.jobs.worker import work
    from tunewright.store import Workspace
    from tunewright.train.ranks.ending import end_with_parent

    order = Order(**json.loads(text))
    end_with_parent()
    if os.getppid() != order.server:  # it was gone before anybody looked
        return
    logs.set_up(order.log)
    # Read by the tokenizers library at its first use, before anything can fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return_freed_pages()
    setup = Setup(python_graders=order.python_graders, memory_bytes=order.memory_bytes)
    work(
        Workspace.open(order.workspace),
        memory_bytes=order.memory_bytes,
        setup=setup,
        until=lambda worker: asked.to_end,
        listener=_tell,
    )
    logs.said("the worker has ended")


def _tell(said: Said) -> None:
    logs.said(f"worker: {said.what}", **({"task": said.task, "kind": said.kind} if said.task else {}))


if __name__ == "__main__":
    main(sys.argv[1])
