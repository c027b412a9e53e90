"""A database's own faults, said clearly: what is wrong, and what to do about it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tunewright.base.errors import DatabaseAwayError, DiskFullError, InputError, TunewrightError, WorkspaceError

BUSY_TIMEOUT_S = 30
_ALMOST_FULL_BYTES = 1 << 20
_FREE_SPACE = "Free some space and start again; finished work and checkpoints are kept."

# PostgreSQL's codes, or how they begin: https://www.postgresql.org/docs/current/errcodes-appendix.html
_FULL = ("53100",)
_LOCKED = ("40001", "40P01", "55P03")
_AWAY = ("08", "53300", "57P01", "57P02", "57P03", "57P05")
_READ_ONLY = ("25006", "42501")
_REFUSED = ("28", "3D000")
_DAMAGED = ("XX001", "XX002")
# Before a connection stands the driver passes on no code, only the server's words.
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "could not translate host name")


@contextlib.contextmanager
def clear_errors(place: str) -> Iterator[None]:
    """Turns the database's own faults into errors that say what to do. Broken constraints are bugs and pass."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise explained(error, place) from error
    except UnicodeEncodeError as error:
        raise InputError("A text holds half a surrogate pair, which has no UTF-8", hint="Remove it.") from error
    except PoolTimeoutError as error:
        raise DatabaseAwayError(
            "All connections to the workspace database are in use", where=place, hint="Try again in a moment."
        ) from error


def explained(error: DBAPIError, place: str) -> TunewrightError:
    """What a database's fault means for whoever met it.

    Args:
        place: What errors call the database.
    """
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        return _of_sqlite(origin, place)
    code = getattr(origin, "sqlstate", None) or ""
    is_away = (
        error.connection_invalidated or code.startswith(_AWAY) or (isinstance(error, OperationalError) and not code)
    )
    if code.startswith(_REFUSED) or (is_away and any(words in str(origin) for words in _REFUSALS)):
        return WorkspaceError(
            f"The workspace database refuses the connection ({_first_line(origin)})",
            where=place,
            hint="Put right user, password and name in $TUNEWRIGHT_DATABASE_URL.",
        )
    if is_away:
        return DatabaseAwayError(
            f"The connection to the workspace database was lost, or cannot be made ({_first_line(origin)})",
            where=place,
            hint="Try again once it is up: what was under way is undone, what was finished is kept.",
        )
    if code in _LOCKED:
        return DatabaseAwayError(
            f"Another transaction was in the way in the workspace database ({_first_line(origin)})",
            where=place,
            hint="Try again: nothing was changed.",
        )
    if isinstance(error, DataError):
        return InputError(f"The workspace database cannot hold a value ({_first_line(origin)})", hint="Change it.")
    if code in _FULL:
        return DiskFullError("No space is left for the workspace database", where=place, hint=_FREE_SPACE)
    if code in _READ_ONLY:
        return WorkspaceError(
            f"The workspace database cannot be written ({_first_line(origin)})",
            where=place,
            hint="Name a user in $TUNEWRIGHT_DATABASE_URL who may create and change tables, on the main server.",
        )
    if code in _DAMAGED:
        return WorkspaceError(
            f"The workspace database is damaged ({_first_line(origin)})",
            where=place,
            hint="Put back a copy of it; the artifacts' folders stay.",
        )
    return TunewrightError(f"The workspace database failed ({origin})", where=place)


def _first_line(origin: BaseException | None) -> str:
    lines = [line.strip() for line in str(origin).splitlines() if line.strip()]
    return lines[0] if lines else type(origin).__name__


def _of_sqlite(origin: sqlite3.Error, place: str) -> TunewrightError:
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(place)):
        return DiskFullError("No space is left for the workspace database", where=place, hint=_FREE_SPACE)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return WorkspaceError(
            "The workspace database cannot be written",
            where=place,
            hint="Get write access to the file and its folder, or choose another workspace with --workspace.",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseAwayError(
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
