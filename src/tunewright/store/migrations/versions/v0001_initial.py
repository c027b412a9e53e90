"""Artifacts, their files and provenance, runs, events, releases.

A migration says the schema in its own words and never imports `store/tables.py`, which will move on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From an empty database."""
    _artifacts()
    _runs()
    _releases()


def downgrade() -> None:
    """Back to an empty database."""
    for table in ("releases", "events", "runs", "parents", "provenance", "files", "artifacts"):
        op.drop_table(table)


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "files",
        sa.Column("artifact_kind", sa.String(64), primary_key=True),
        sa.Column("artifact_hash", sa.String(64), primary_key=True),
        sa.Column("path", sa.String(1024), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        _to_artifact("artifact", "files_artifact"),
    )
    op.create_table(
        "provenance",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("artifact_kind", sa.String(64), nullable=False),
        sa.Column("artifact_hash", sa.String(64), nullable=False),
        sa.Column("producer", sa.String(128), nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        _to_artifact("artifact", "provenance_artifact"),
    )
    op.create_index("provenance_by_artifact", "provenance", ["artifact_kind", "artifact_hash"])
    op.create_table(
        "parents",
        sa.Column(
            "provenance_id", sa.String(64), sa.ForeignKey("provenance.id", name="parents_provenance"), primary_key=True
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("parent_kind", sa.String(64), nullable=False),
        sa.Column("parent_hash", sa.String(64), nullable=False),
        _to_artifact("parent", "parents_artifact"),
    )
    op.create_index("parents_by_artifact", "parents", ["parent_kind", "parent_hash"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("started_at", sa.String(32)),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("error", sa.JSON),
    )
    op.create_index("runs_by_name", "runs", ["name", "created_at"])
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id", name="events_run"), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
    )
    op.create_index("events_by_run", "events", ["run_id", "seq"])


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("adapter_kind", sa.String(64), nullable=False),
        sa.Column("adapter_hash", sa.String(64), nullable=False),
        sa.Column("dataset_kind", sa.String(64), nullable=False),
        sa.Column("dataset_hash", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id", name="releases_run"), nullable=False),
        sa.Column("base", sa.String(256), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("template", sa.JSON, nullable=False),
        sa.Column("evaluation", sa.JSON, nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        _to_artifact("adapter", "releases_adapter"),
        _to_artifact("dataset", "releases_dataset"),
    )


def _to_artifact(column: str, name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [f"{column}_kind", f"{column}_hash"], ["artifacts.kind", "artifacts.hash"], name=name
    )
