"""Where the runs of a bench write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folder_for(name: str, keep: Path | None) -> Iterator[Path]:
    """A new folder for what runs write: below `keep`, where it stays, or one that does not."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix=f"{name}-", dir=keep.absolute()))
        return
    with tempfile.TemporaryDirectory(prefix=f"tunewright-{name}-") as folder:
        yield Path(folder)
