from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert

from tests.store.processes import ended, program
from tunewright.base.errors import DatabaseAwayError
from tunewright.store import Workspace, database, tables
from tunewright.store.database import insert_once, known_revisions
from tunewright.store.values import now


def test_the_migrations_make_the_tables(workspace: Workspace) -> None:
    with workspace.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_file_names_say_the_revisions_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert known_revisions() == [revision.revision for revision in script.walk_revisions()][::-1]
    assert script.get_current_head() == known_revisions()[-1]


@pytest.mark.sqlite
def test_sqlite_is_set_up_for_many_processes(workspace: Workspace) -> None:
    with workspace.database.read() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        ]
    assert modes == ["wal", 1, 30_000]


def test_a_transaction_is_whole_or_absent(workspace: Workspace) -> None:
    row = {"kind": "dataset", "hash": "a" * 64, "manifest": {}, "bytes": 1, "created_at": now()}

    def interrupted() -> None:
        with workspace.database.write() as connection:
            connection.execute(insert(tables.artifacts).values(**row))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert workspace.artifacts() == []


def test_insert_once_inserts_once(workspace: Workspace) -> None:
    row = {"kind": "dataset", "hash": "a" * 64, "manifest": {}, "bytes": 1, "created_at": now()}
    with workspace.database.write() as connection:
        assert insert_once(connection, tables.artifacts, row)
        assert not insert_once(connection, tables.artifacts, row)


def test_writers_wait_for_each_other(workspace: Workspace) -> None:
    code = """
    import sys
    from tunewright.store import Workspace
    run = Workspace.open(sys.argv[1]).find_run("shared")
    for index in range(25):
        run.update_manifest(**{f"{sys.argv[2]}-{index}": index})
    """
    run = workspace.start_run("shared", "run", {})
    for process in [program(code, workspace.root, name) for name in ("a", "b")]:
        ended(process)
    assert len(run.manifest) == 50


@pytest.mark.sqlite
def test_a_locked_database_is_said_and_works_later(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.close()  # so that the next connection is as impatient as this test
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0)
    with contextlib.closing(sqlite3.connect(workspace.root / "tunewright.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAwayError, match="Another process has kept the workspace database locked"):
            workspace.add_record("job", {}, id="a")
        assert workspace.records("job").records == []  # readers are not held up
    assert workspace.add_record("job", {}, id="a").id == "a"
