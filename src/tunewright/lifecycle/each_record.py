"""Records gone through from the first to the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tunewright.store.records import Record

if TYPE_CHECKING:
    from tunewright.store import Workspace

_AT_ONCE = 500


def each_record(
    workspace: Workspace,
    kind: str,
    *,
    parent: str | None = None,
    project: str | None = None,
    where: Mapping[str, str | None] | None = None,
) -> Iterator[Record]:
    """All records of a kind that fit, the oldest first, some hundreds in memory at a time."""
    after: str | None = None
    while True:
        page = workspace.records(
            kind, parent=parent, project=project, after=after, limit=_AT_ONCE, order="asc", where=where
        )
        yield from page.records
        if not page.has_more:
            return
        after = page.records[-1].id
