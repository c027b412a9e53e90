"""Floor 1: the workspace. Database, artifacts, lineage, runs, releases, records, the queue, uploads, keys."""

from tunewright.store.artifacts import Stored
from tunewright.store.lineage import Lineage
from tunewright.store.queue import Claims, Task
from tunewright.store.records import Page, Record, new_id
from tunewright.store.releases import Release
from tunewright.store.runs import Recorded, Run, Status
from tunewright.store.workspace import Workspace

__all__ = [
    "Claims",
    "Lineage",
    "Page",
    "Record",
    "Recorded",
    "Release",
    "Run",
    "Status",
    "Stored",
    "Task",
    "Workspace",
    "new_id",
]
