"""Puts the objects that the client's suite names back as they were, through the store's own functions.

Tests of the suite delete, cancel and update the same few objects over and over. What they were is in a snapshot that
`world.py` writes before the suite starts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunewright.base.errors import NoSuchRecordError
from tunewright.store import Workspace
from tunewright.store.uploads import KIND as FILE
from tunewright.store.uploads import receive

# Words in the names of tests that change what others need as it was.
_CHANGING = ("delete", "cancel", "pause", "resume", "update")
_LIMIT_BYTES = 1 << 20


class PutBack:
    """The objects of a snapshot: `{workspace, records, files}`.

    Args:
        snapshot: Its file.
    """

    def __init__(self, snapshot: Path) -> None:
        found = json.loads(snapshot.read_text(encoding="utf-8"))
        self._workspace = Workspace.open(Path(found["workspace"]), create=False)
        self._records: list[dict[str, Any]] = found["records"]
        self._files: list[dict[str, Any]] = found["files"]
        self._is_changed = True

    def before(self, test: str) -> None:
        """Sees to it that a test of this name finds everything as it was."""
        if self._is_changed:
            for file in self._files:
                put_file(self._workspace, **file)
            for record in self._records:
                put_record(self._workspace, **record)
        self._is_changed = any(word in test for word in _CHANGING)


def put_record(workspace: Workspace, *, kind: str, id: str, parent: str, body: dict[str, Any]) -> None:
    """A record as it was: added where it is gone, else changed."""
    try:
        workspace.change_record(kind, id, lambda _: body)
    except NoSuchRecordError:
        workspace.add_record(kind, body, id=id, parent=parent)


def put_file(workspace: Workspace, *, id: str, filename: str, purpose: str, content: str) -> None:
    """An uploaded file under an id, unless it is there."""
    try:
        workspace.record(FILE, id)
    except NoSuchRecordError:
        with receive(workspace, filename=filename, purpose=purpose, limit_bytes=_LIMIT_BYTES) as upload:
            upload.id = id
            upload.write(content.encode())
            upload.keep()
