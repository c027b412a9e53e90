"""Releases: a name and a version for an adapter that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from tunewright.base.errors import UnknownNameError, WorkspaceError
from tunewright.store import tables
from tunewright.store.artifacts import resolve
from tunewright.store.database import Database
from tunewright.store.values import now, plain


@dataclass(frozen=True)
class Release:
    """A named, numbered adapter with all that is needed to use it and to trust it.

    Args:
        adapter: The adapter artifact's hash.
        dataset: The dataset artifact's hash.
        run: The run's id.
        base: The base model's name.
        base_hash: The hash of the base model's weights.
        template: How a request is rendered, as training rendered it.
        evaluation: What was measured.
        recipe: What was asked for.
    """

    name: str
    version: int
    adapter: str
    dataset: str
    run: str
    base: str
    base_hash: str
    template: dict[str, Any]
    evaluation: dict[str, Any]
    recipe: dict[str, Any]
    created_at: datetime

    @property
    def label(self) -> str:
        """Name and version, as look-ups take them: `support-desk@2`."""
        return f"{self.name}@{self.version}"

    def as_json(self) -> dict[str, Any]:
        """The release as `--json` prints it."""
        return {
            "name": self.name,
            "version": self.version,
            "label": self.label,
            "adapter": self.adapter,
            "dataset": self.dataset,
            "run": self.run,
            "base": self.base,
            "base_hash": self.base_hash,
            "template": self.template,
            "evaluation": self.evaluation,
            "recipe": self.recipe,
            "created_at": self.created_at.isoformat(),
        }


def add(database: Database, name: str, *, adapter: str, dataset: str, run: str, said: Mapping[str, Any]) -> Release:
    """Adds a release under the name's next version; see `Workspace.add_release`.

    Args:
        said: The fields base, base_hash, template, evaluation and recipe.
    """
    if not name or "@" in name:
        raise WorkspaceError(f"'{name}' cannot name a release: not empty, and without @")
    releases = tables.releases
    with database.write() as connection:
        adapter_key, dataset_key = resolve(connection, adapter), resolve(connection, dataset)
        if connection.execute(select(tables.runs.c.id).where(tables.runs.c.id == run)).first() is None:
            raise WorkspaceError(f"The run '{run}' of the release '{name}' is not in this workspace")
        values = {
            "name": name,
            "adapter_kind": adapter_key[0],
            "adapter_hash": adapter_key[1],
            "dataset_kind": dataset_key[0],
            "dataset_hash": dataset_key[1],
            "run_id": run,
            **plain(said, "release"),
        }
        newest = _newest(connection, name)
        # A run that was killed between its release and its end adds the release again when it is resumed.
        if newest is not None and all(getattr(newest, field) == value for field, value in values.items()):
            return _release(newest)
        version = (newest.version if newest is not None else 0) + 1
        connection.execute(insert(releases).values(**values, version=version, created_at=now()))
        row = _newest(connection, name)
        if row is None:
            raise WorkspaceError(f"The release '{name}' was added and is gone")
        return _release(row)


def listed(database: Database, name: str | None) -> list[Release]:
    """All releases, newest first; see `Workspace.releases`."""
    releases = tables.releases.c
    query = select(tables.releases).order_by(releases.created_at.desc(), releases.name, releases.version.desc())
    with database.read() as connection:
        rows = connection.execute(query if name is None else query.where(releases.name == name)).all()
    return [_release(row) for row in rows]


def find(database: Database, label: str) -> Release:
    """One release; see `Workspace.find_release`."""
    name, at, version = label.partition("@")
    releases = tables.releases.c
    query = select(tables.releases).where(releases.name == name).order_by(releases.version.desc())
    with database.read() as connection:
        rows = connection.execute(query).all()
        names = list(connection.execute(select(releases.name).distinct()).scalars())
    if not names:
        raise WorkspaceError(
            f"No release is called '{label}'; this workspace has none yet", hint="Make one with: tunewright run RECIPE."
        )
    if not rows:
        raise UnknownNameError("release", name, names)
    if not at:
        return _release(rows[0])
    for row in rows:
        if str(row.version) == version:
            return _release(row)
    raise UnknownNameError("release", label, [f"{name}@{row.version}" for row in rows])


def amend(database: Database, label: str, evaluation: Mapping[str, Any]) -> Release:
    """Puts a fuller evaluation into a release; see `Workspace.amend_release`."""
    found = find(database, label)
    releases = tables.releases
    this = (releases.c.name == found.name) & (releases.c.version == found.version)
    with database.write() as connection:
        connection.execute(update(releases).where(this).values(evaluation=plain(evaluation, "evaluation")))
    return find(database, found.label)


def _newest(connection: Connection, name: str) -> Row[Any] | None:
    releases = tables.releases.c
    newest = select(func.max(releases.version)).where(releases.name == name).scalar_subquery()
    return connection.execute(select(tables.releases).where(releases.name == name, releases.version == newest)).first()


def _release(row: Row[Any]) -> Release:
    return Release(
        name=row.name,
        version=row.version,
        adapter=row.adapter_hash,
        dataset=row.dataset_hash,
        run=row.run_id,
        base=row.base,
        base_hash=row.base_hash,
        template=row.template,
        evaluation=row.evaluation,
        recipe=row.recipe,
        created_at=row.created_at,
    )
