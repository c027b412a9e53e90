"""The workspace database: opened, upgraded where it is older, and its faults said clearly.

SQLite in the workspace folder by default; any SQLAlchemy URL in $TUNEWRIGHT_DATABASE_URL instead.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from sqlalchemy import Connection, Engine, Table, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from tunewright.base.errors import DatabaseAwayError, WorkspaceError
from tunewright.store.database_faults import BUSY_TIMEOUT_S, clear_errors, explained

UPGRADE_TIMEOUT_S = 120
_MIGRATIONS = Path(__file__).parent / "migrations"
# How long a database server may be away, as while it restarts, before those that need it are told.
PATIENCE_S = 10.0
_RETRY_EVERY_S = 0.25
# A writer that stands still in its transaction, as on a machine that sleeps, holds up all others no longer than this.
_IDLE_WRITER_S = 60
_LOST_AFTER_S = 30
# The number of the lock that PostgreSQL's writers take: "tunewrit" as a number of eight bytes.
_WRITERS = int.from_bytes(b"tunewrit")


@dataclass(frozen=True)
class Database:
    """An open database at the newest schema. `place` is what errors call it, without any password."""

    engine: Engine
    place: str

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state."""
        with clear_errors(self.place), _begun(self.engine, self.place, writes=False) as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: whole on leaving, absent after an error. Writers wait for one another."""
        with clear_errors(self.place), _begun(self.engine, self.place, writes=True) as connection:
            yield connection
            connection.commit()


@contextlib.contextmanager
def _begun(engine: Engine, place: str, *, writes: bool) -> Iterator[Connection]:
    """A connection with a transaction begun on it; a server that is away for a moment is waited for."""
    patient_until = time.monotonic() + PATIENCE_S
    while True:
        connection = None
        try:
            connection = engine.connect()
            _begin(connection, writes=writes)
            break
        except DBAPIError as error:
            if connection is not None:
                connection.close()
            # Nothing has been done on it yet, so trying again does nothing twice.
            waits = engine.dialect.name != "sqlite" and isinstance(explained(error, place), DatabaseAwayError)
            if not waits or time.monotonic() >= patient_until:
                raise
            time.sleep(_RETRY_EVERY_S)
    with connection:
        yield connection


def _begin(connection: Connection, *, writes: bool) -> None:
    if connection.dialect.name == "sqlite":
        connection.execution_options(tunewright_writes=writes)
        connection.begin()
    elif not writes:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        connection.begin()
    else:
        connection.begin()
        _wait_for_writers(connection)


def _wait_for_writers(connection: Connection) -> None:
    # One writer at a time, as SQLite has it: what a transaction reads holds until it ends, and numbers that are given
    # out become seen in their order, so that a reader who goes on behind the highest one misses nothing.
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_WRITERS)))


def open_database(root: Path) -> Database:
    """Opens a workspace's database, made or upgraded first where needed.

    Raises:
        WorkspaceError: If the URL is wrong, the database cannot be used, or a newer tunewright made it.
    """
    engine, place = _engine(os.environ.get("TUNEWRIGHT_DATABASE_URL") or f"sqlite:///{root / 'tunewright.db'}")
    lock = filelock.FileLock(root / ".schema.lock", timeout=UPGRADE_TIMEOUT_S)
    try:
        # The look at the revision is inside the lock too: SQLite cannot turn to WAL while another process reads.
        with lock, clear_errors(place):
            with _begun(engine, place, writes=False) as connection:
                is_newest = _revision(connection, place) == known_revisions()[-1]
            if not is_newest:
                _upgrade(engine, place)
    except filelock.Timeout:
        raise WorkspaceError(
            "Another process is upgrading this workspace and does not end",
            where=str(root),
            hint="Wait for it, or end it, and start again.",
        ) from None
    return Database(engine, place)


def known_revisions() -> list[str]:
    """The schema revisions of this version, oldest first, read off the migrations' file names."""
    return sorted(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("v[0-9]*.py"))


def insert_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Inserts a row unless one with its key is there already; says whether it did."""
    key = [column == values[column.name] for column in table.primary_key]
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**values))
    except IntegrityError:
        if connection.execute(select(*table.primary_key).where(*key)).first() is None:
            raise
        return False
    return True


def _engine(url_text: str) -> tuple[Engine, str]:
    try:
        url = make_url(url_text)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, **_options(url))
    except (ArgumentError, NoSuchModuleError) as error:
        raise WorkspaceError(
            f"This is not a database URL ({error})",
            where="$TUNEWRIGHT_DATABASE_URL",
            hint="As in: postgresql+psycopg://user@host/name.",
        ) from error
    except ModuleNotFoundError as error:
        raise WorkspaceError(
            f"This database needs the package '{error.name}', which is not installed",
            where="$TUNEWRIGHT_DATABASE_URL",
            hint="Install it with: pip install "
            + ("'tunewright[postgres]'." if error.name == "psycopg" else f"{error.name}."),
        ) from error
    if url.drivername == "postgresql+psycopg":
        event.listen(engine, "connect", _postgres_connected)
    if url.get_backend_name() != "sqlite":
        return engine, url.render_as_string(hide_password=True)
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine, str(url.database)


def _options(url: URL) -> dict[str, Any]:
    """How a database server's connections are made and kept; what the URL says itself counts."""
    if url.drivername != "postgresql+psycopg":
        return {}
    arguments = {
        "connect_timeout": _LOST_AFTER_S,
        "keepalives_idle": _LOST_AFTER_S,
        "tcp_user_timeout": _LOST_AFTER_S * 1000,
    }
    # Connections that a restart has cut are noticed before they are used, and made anew.
    return {
        "pool_pre_ping": True,
        "connect_args": {name: value for name, value in arguments.items() if name not in url.query},
    }


def _postgres_connected(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {BUSY_TIMEOUT_S * 1000}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_WRITER_S * 1000}")
    connection.commit()


def _sqlite_connected(connection: Any, _record: Any) -> None:
    # The driver would open transactions on its own, late and without the write lock; `_sqlite_begin` opens them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail, instead of waiting, when another wrote in between.
    writes = connection.get_execution_options().get("tunewright_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection, place: str) -> str | None:
    """The schema revision a database is at; none for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in known_revisions():
        raise WorkspaceError(
            f"A newer tunewright made this workspace (schema {revision}; this one knows {known_revisions()[-1]})",
            where=place,
            hint="Upgrade with: pip install --upgrade tunewright. Or choose another workspace with --workspace.",
        )
    return revision


def _upgrade(engine: Engine, place: str) -> None:
    # Alembic takes a third of a second to import, and only an upgrade needs it.
    from alembic import command
    from alembic.config import Config

    if engine.dialect.name == "sqlite":
        # Outside any transaction, as SQLite wants it; the file remembers the mode.
        with contextlib.closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    # Another machine may be upgrading the same database: its transaction is waited for, and then nothing is left to do.
    with _begun(engine, place, writes=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
