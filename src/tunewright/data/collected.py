"""The file that rows from elsewhere are kept in: each with its place there, and the faults met instead of some.

A first line says what the file is. Then comes a JSON object a line, `{"line": 7, "values": {…}}`, or for a fault
`{"line": 8, "fault": "why"}`.
`data/readers/collected.py` reads it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from tunewright.base.errors import DataError
from tunewright.base.files import atomic_file
from tunewright.data.rows import Fault, Row

MARK = '{"tunewright": "collected rows"}'


def write_collected(path: Path, rows: Iterable[Row | Fault]) -> int:
    """Writes rows and faults, atomically; as many as were written.

    Raises:
        DataError: If a value is neither text nor a number, a date or a list or mapping of such.
    """
    count = 0
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f"{MARK}\n")
        for row in rows:
            # In ASCII, so that half of a character, which databases may hold, is a fault when it is read.
            kept = {"values": row.values} if isinstance(row, Row) else {"fault": row.reason}
            file.write(json.dumps({"line": row.line, **kept}, default=_plain) + "\n")
            count += 1
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal | UUID | datetime.timedelta):
        return str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        raise DataError("A value is raw bytes, and not text", hint="Leave its column out of the query.")
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return str(value)
