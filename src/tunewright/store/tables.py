"""The workspace database's tables, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

metadata = MetaData()

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")


class Moment(TypeDecorator[datetime]):
    """A point in time, kept as ISO 8601 text in UTC: sorts as text, and reads the same in every database."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


# Equal bytes may be stored under two kinds (a model and its export), so the kind is part of the key.
artifacts = Table(
    "artifacts",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("manifest", JSON, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# What an artifact's folder holds: lets a damaged artifact name the file that is wrong.
files = Table(
    "files",
    metadata,
    Column("artifact_kind", String(64), primary_key=True),
    Column("artifact_hash", String(64), primary_key=True),
    Column("path", String(1024), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    ForeignKeyConstraint(
        ["artifact_kind", "artifact_hash"], ["artifacts.kind", "artifacts.hash"], name="files_artifact"
    ),
)

# One row for each way an artifact came to be. The id is the hash of artifact, producer and parents.
provenance = Table(
    "provenance",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("artifact_kind", String(64), nullable=False),
    Column("artifact_hash", String(64), nullable=False),
    Column("producer", String(128), nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ["artifact_kind", "artifact_hash"], ["artifacts.kind", "artifacts.hash"], name="provenance_artifact"
    ),
    Index("provenance_by_artifact", "artifact_kind", "artifact_hash"),
)

parents = Table(
    "parents",
    metadata,
    Column("provenance_id", String(64), ForeignKey("provenance.id", name="parents_provenance"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("parent_kind", String(64), nullable=False),
    Column("parent_hash", String(64), nullable=False),
    ForeignKeyConstraint(["parent_kind", "parent_hash"], ["artifacts.kind", "artifacts.hash"], name="parents_artifact"),
    Index("parents_by_artifact", "parent_kind", "parent_hash"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("error", JSON(none_as_null=True)),
    Index("runs_by_name", "name", "created_at"),
)

events = Table(
    "events",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("run_id", String(64), ForeignKey("runs.id", name="events_run"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("event", JSON, nullable=False),
    Index("events_by_run", "run_id", "seq"),
)

releases = Table(
    "releases",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("adapter_kind", String(64), nullable=False),
    Column("adapter_hash", String(64), nullable=False),
    Column("dataset_kind", String(64), nullable=False),
    Column("dataset_hash", String(64), nullable=False),
    Column("run_id", String(64), ForeignKey("runs.id", name="releases_run"), nullable=False),
    Column("base", String(256), nullable=False),
    Column("base_hash", String(64), nullable=False),
    Column("template", JSON, nullable=False),
    Column("evaluation", JSON, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ["adapter_kind", "adapter_hash"], ["artifacts.kind", "artifacts.hash"], name="releases_adapter"
    ),
    ForeignKeyConstraint(
        ["dataset_kind", "dataset_hash"], ["artifacts.kind", "artifacts.hash"], name="releases_dataset"
    ),
)

# The server's objects: files, jobs, batches, evals. What is removed leaves its row without a body, so that a reader in
# the middle of a listing can go on behind it.
records = Table(
    "records",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("id", String(256), nullable=False),
    Column("parent", String(256), nullable=False),
    Column("project", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("body", JSON(none_as_null=True)),
    UniqueConstraint("kind", "id", name="records_id"),
    Index("records_by_parent", "kind", "parent", "seq"),
    Index("records_by_project", "kind", "project", "seq"),
    sqlite_autoincrement=True,
)

# The queue. `claim` grows each time that a task changes hands, `beat` each time that its owner says that it lives.
tasks = Table(
    "tasks",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(256), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("owner", String(256), nullable=False),
    Column("claim", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    UniqueConstraint("id", name="tasks_id"),
    Index("tasks_by_state", "state", "priority", "seq"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("ending", String(8), nullable=False),
    Column("name", String(128), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("project", String(128), nullable=False),
    Column("organization", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    UniqueConstraint("hash", name="keys_hash"),
)
