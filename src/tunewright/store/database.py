"""The workspace database: opened, upgraded where it is older, and its faults said clearly.

SQLite in the workspace folder by default; any SQLAlchemy URL in $TUNEWRIGHT_DATABASE_URL instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from sqlalchemy import Connection, Engine, Table, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from tunewright.base.errors import DiskFullError, TunewrightError, WorkspaceError

BUSY_TIMEOUT_S = 30
UPGRADE_TIMEOUT_S = 120
_MIGRATIONS = Path(__file__).parent / "migrations"
_ALMOST_FULL_BYTES = 1 << 20


@dataclass(frozen=True)
class Database:
    """An open database at the newest schema. `place` is what errors call it, without any password."""

    engine: Engine
    place: str

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state."""
        with clear_errors(self.place), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: whole on leaving, absent after an error. Writers wait for one another."""
        with clear_errors(self.place), self.engine.execution_options(tunewright_writes=True).begin() as connection:
            yield connection


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
            if _revision(engine, place) != known_revisions()[-1]:
                _upgrade(engine)
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


def commit_in_order(connection: Connection, numbered: str) -> None:
    """Lets the transactions that add to a numbered table end in the order of their numbers.

    PostgreSQL gives numbers out before a transaction ends: a reader that goes on behind the highest number it has seen
    would miss what ends later with a lower one. SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"tunewright {numbered}"))))


@contextlib.contextmanager
def clear_errors(place: str) -> Iterator[None]:
    """Turns the database's own faults into errors that say what to do. Broken constraints are bugs and pass."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise _explained(error, place) from error


def _explained(error: DBAPIError, place: str) -> TunewrightError:
    origin = error.orig
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(place)):
        return DiskFullError(
            "No space is left for the workspace database",
            where=place,
            hint="Free some space and start again; finished work and checkpoints are kept.",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return WorkspaceError(
            "The workspace database cannot be written",
            where=place,
            hint="Get write access to the file and its folder, or choose another workspace with --workspace.",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WorkspaceError(
            f"Another process has kept the workspace database locked for {BUSY_TIMEOUT_S} s",
            where=place,
            hint="Wait for it, or end it, and start again.",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return WorkspaceError(
            f"The workspace database is damaged ({origin})",
            where=place,
            hint="Put back a copy of the file, or move it away to begin a new one; the artifacts' folders stay.",
        )
    return TunewrightError(f"The workspace database failed ({origin})", where=place)


def _is_full(place: str) -> bool:
    folder = Path(place).parent
    return folder.is_dir() and shutil.disk_usage(folder).free < _ALMOST_FULL_BYTES


def _engine(url_text: str) -> tuple[Engine, str]:
    try:
        url = make_url(url_text)
        engine = create_engine(url)
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
            hint=f"Install it with: pip install {error.name}.",
        ) from error
    if url.get_backend_name() != "sqlite":
        return engine, url.render_as_string(hide_password=True)
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine, str(url.database)


def _sqlite_connected(connection: Any, _record: Any) -> None:
    # The driver would open transactions on its own, late and without the write lock; `_sqlite_begin` opens them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail, instead of waiting, when another wrote in between.
    writes = connection.get_execution_options().get("tunewright_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(engine: Engine, place: str) -> str | None:
    """The schema revision a database is at; none for an empty one."""
    with engine.connect() as connection:
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


def _upgrade(engine: Engine) -> None:
    # Alembic takes a third of a second to import, and only an upgrade needs it.
    from alembic import command
    from alembic.config import Config

    if engine.dialect.name == "sqlite":
        # Outside any transaction, as SQLite wants it; the file remembers the mode.
        with contextlib.closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(tunewright_writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
