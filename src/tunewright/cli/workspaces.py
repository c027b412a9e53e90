"""The workspace of verbs that look and make none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunewright.store import Workspace


def existing(path: Path | None) -> Workspace | None:
    """The workspace, if there is one; none is made. One that is named must be there.

    Raises:
        WorkspaceError: If the one that is named is not there.
    """
    from tunewright.base.errors import WorkspaceError
    from tunewright.store import Workspace

    try:
        return Workspace.open(path, create=False)
    except WorkspaceError:
        if path is not None:
            raise
        return None
