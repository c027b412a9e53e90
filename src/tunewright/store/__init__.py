"""Floor 1: the workspace. Database, artifacts, lineage, runs, releases."""

from tunewright.store.artifacts import Stored
from tunewright.store.lineage import Lineage
from tunewright.store.releases import Release
from tunewright.store.runs import Recorded, Run, Status
from tunewright.store.workspace import Workspace

__all__ = ["Lineage", "Recorded", "Release", "Run", "Status", "Stored", "Workspace"]
