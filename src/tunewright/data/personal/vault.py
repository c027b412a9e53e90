"""The vault: which original each pseudonym stands for, sealed entry by entry, in one SQLite file.

Without the key it holds pseudonyms, which the data hold as well, and bytes. It is also where two originals that came to
one pseudonym would meet, so every pseudonym passes through it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunewright.base.errors import DataError, WorkspaceError
from tunewright.data.personal.keys import Key, WrongKeyError

_CHECK = "tunewright vault 1"
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS vault (checked BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS entries (pseudonym TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Original:
    """What a pseudonym stands for: who or what it is (`pseudonyms.identity`), and how it was written first."""

    identity: str
    text: str


def collision(pseudonym: str) -> DataError:
    """The error for a pseudonym that two originals come to."""
    return DataError(
        "Two originals come to the same pseudonym",
        where=pseudonym,
        hint="Redact again with another key and a new vault: two people must not become one.",
    )


@dataclass(frozen=True)
class Vault:
    """A vault that is open."""

    path: Path
    key: Key
    database: sqlite3.Connection

    def add(self, entries: Mapping[str, Original]) -> int:
        """Adds what is not there yet; returns how many entries that were.

        Raises:
            DataError: If a pseudonym already stands for somebody else. Nothing is added then.
        """
        added = 0
        with self.database:
            for pseudonym, original in entries.items():
                sealed = self.key.seal(json.dumps([original.identity, original.text]), use=pseudonym)
                new = self.database.execute("INSERT OR IGNORE INTO entries VALUES (?, ?)", (pseudonym, sealed)).rowcount
                added += new
                if not new and (other := self.find(pseudonym)) and other.identity != original.identity:
                    raise collision(pseudonym)
        return added

    def find(self, pseudonym: str) -> Original | None:
        """What a pseudonym stands for; None where the vault does not know it.

        Raises:
            WrongKeyError: If its entry was changed, or put where another one was.
        """
        row = self.database.execute("SELECT sealed FROM entries WHERE pseudonym = ?", (pseudonym,)).fetchone()
        return Original(*json.loads(self.key.open(row[0], use=pseudonym))) if row else None


@contextlib.contextmanager
def open_vault(path: str | Path, key: Key, *, create: bool) -> Iterator[Vault]:
    """Opens a vault, and closes it again.

    Args:
        path: The file.
        key: The key that it was made with.
        create: Whether to make it where it is not there yet.

    Raises:
        WorkspaceError: If it is not there, or no vault.
        WrongKeyError: If it was made with another key.
    """
    place = Path(path)
    if not create and not place.is_file():
        raise WorkspaceError(
            "There is no vault here", where=str(place), hint="Name it with --vault; the recipe says where it is."
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(place, timeout=60)) as database:
            with database:
                database.executescript(_SCHEMA)
                _check(database, key, place)
            yield Vault(place, key, database)
    except (sqlite3.DatabaseError, OSError) as error:
        raise WorkspaceError(
            f"This vault cannot be used: {error}", where=str(place), hint="Name a vault, or a place for a new one."
        ) from error


def _check(database: sqlite3.Connection, key: Key, place: Path) -> None:
    row = database.execute("SELECT checked FROM vault").fetchone()
    if row is None:
        database.execute("INSERT INTO vault VALUES (?)", (key.seal(_CHECK, use="check"),))
        return
    try:
        key.open(row[0], use="check")
    except WrongKeyError:
        raise WrongKeyError(
            "This vault was made with another key",
            where=str(place),
            hint="Use the key that the data were redacted with, or name a new vault.",
        ) from None
