"""Where an artifact came from, back to the first rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from tunewright.store import tables
from tunewright.store.artifacts import Key, resolve
from tunewright.store.database import Database

_LONGEST_TEXT = 200


@dataclass(frozen=True)
class Lineage:
    """An artifact and what it was made from.

    Args:
        producers: The runs that made it, oldest first; an artifact that several runs made has several.
        summary: The manifest's plain values, without its lists and mappings.
        parents: What it was made from, by any of its producers.
        repeated: It stands in the tree before, where its parents are shown.
    """

    kind: str
    hash: str
    producers: tuple[str, ...]
    summary: dict[str, Any]
    parents: tuple[Lineage, ...]
    repeated: bool = False

    @property
    def producer(self) -> str:
        """The newest run that made it; empty if none is known."""
        return self.producers[-1] if self.producers else ""

    def as_json(self) -> dict[str, Any]:
        """The tree as `--json` prints it."""
        return {
            "kind": self.kind,
            "hash": self.hash,
            "producer": self.producer,
            "producers": list(self.producers),
            "summary": self.summary,
            "parents": [parent.as_json() for parent in self.parents],
            "repeated": self.repeated,
        }


def trace(database: Database, prefix: str, kind: str | None) -> Lineage:
    """The tree above an artifact; see `Workspace.lineage`."""
    with database.read() as connection:
        return _tree(connection, resolve(connection, prefix, kind), set())


def _tree(connection: Connection, key: Key, seen: set[Key]) -> Lineage:
    # Equal payloads share one artifact, so ways may meet again and even close to a circle: each is followed once.
    repeated = key in seen
    seen.add(key)
    producers, ancestors = _provenance(connection, key)
    return Lineage(
        kind=key[0],
        hash=key[1],
        producers=producers,
        summary=_summary(connection, key),
        parents=() if repeated else tuple(_tree(connection, ancestor, seen) for ancestor in ancestors),
        repeated=repeated and bool(ancestors),
    )


def _provenance(connection: Connection, key: Key) -> tuple[tuple[str, ...], list[Key]]:
    made, parents = tables.provenance.c, tables.parents.c
    query = (
        select(made.producer, parents.parent_kind, parents.parent_hash)
        .join(tables.parents, parents.provenance_id == made.id, isouter=True)
        .where(made.artifact_kind == key[0], made.artifact_hash == key[1])
        .order_by(made.created_at, made.id, parents.position)
    )
    rows = connection.execute(query).all()
    producers = dict.fromkeys(row.producer for row in rows if row.producer)
    ancestors = dict.fromkeys((row.parent_kind, row.parent_hash) for row in rows if row.parent_hash is not None)
    return tuple(producers), list(ancestors)


def _summary(connection: Connection, key: Key) -> dict[str, Any]:
    artifacts = tables.artifacts.c
    query = select(artifacts.manifest).where(artifacts.kind == key[0], artifacts.hash == key[1])
    manifest: Mapping[str, Any] = connection.execute(query).scalar_one()
    return {name: _shortened(value) for name, value in manifest.items() if not isinstance(value, dict | list)}


def _shortened(value: Any) -> Any:
    return f"{value[:_LONGEST_TEXT]}…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
