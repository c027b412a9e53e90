"""Vectors that were computed before, kept on disk: one file for each encoder, a row for each text. Safe to delete."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import WorkspaceError
from tunewright.base.files import disk_guard

Stored = NDArray[np.float16]
Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Half the room of float32; each number is off by a 2048th of itself at most, and a cosine so by less than 0.001.
STORED = np.dtype("<f2")

_KEYS_AT_ONCE = 2_000
_PATIENCE_S = 60.0


class VectorFile:
    """Vectors by the hash of their text. Any number of processes may use one file at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, keys: Iterable[str]) -> dict[str, tuple[Stored, bool]]:
        """Those that are there: vector, and whether the text was longer than the encoder reads.

        Raises:
            WorkspaceError: If the file cannot be read.
        """
        found: dict[str, tuple[Stored, bool]] = {}
        wanted = list(dict.fromkeys(keys))
        with self._open() as connection:
            for start in range(0, len(wanted), _KEYS_AT_ONCE):
                rows = connection.execute(
                    "SELECT text, beyond, value FROM vector WHERE text IN (SELECT value FROM json_each(?))",
                    (json.dumps(wanted[start : start + _KEYS_AT_ONCE]),),
                )
                for key, beyond, value in rows:
                    found[key] = (np.frombuffer(value, dtype=STORED), bool(beyond))
        return found

    def add(self, rows: Mapping[str, tuple[Stored, bool]]) -> None:
        """Keeps vectors; all of them or, if the process is killed, none.

        Raises:
            DiskFullError: If there is no room.
            WorkspaceError: If the file cannot be written.
        """
        with self._open() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO vector VALUES (?, ?, ?)",
                [(key, int(beyond), value.astype(STORED).tobytes()) for key, (value, beyond) in rows.items()],
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with disk_guard(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as connection, connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vector "
                    "(text TEXT PRIMARY KEY, beyond INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
                )
                yield connection
        except sqlite3.Error as error:
            if "full" in str(error):
                with disk_guard(self._path):
                    raise OSError(28, str(error)) from error
            raise WorkspaceError(
                f"The cache of text vectors cannot be used ({error})",
                where=str(self._path),
                hint="Check its permissions, or delete the file: it only saves time.",
            ) from error


def unit(vectors: Stored) -> Vectors:
    """Stored vectors in float32, of unit length again after their rounding; shape (n, width)."""
    wide = vectors.astype(np.float32)
    length: Vectors = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return length
