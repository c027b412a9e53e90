"""Values as the database and the log file keep them: JSON that any reader understands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def plain(value: Any, where: str = "value") -> Any:
    """A value as plain JSON.

    Tuples become lists, paths and times text, numbers of numpy and torch Python's own. A number that is not finite
    becomes null, since JSON has no word for it.

    Raises:
        TypeError: If something in it has no JSON form; names the place.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        # Sorted, so that equal sets are equal text.
        return [plain(item, where) for item in sorted(value)]
    if hasattr(value, "item") and getattr(value, "size", None) == 1:
        return plain(value.item(), where)
    raise TypeError(f"{where}: {type(value).__name__} has no JSON form")
