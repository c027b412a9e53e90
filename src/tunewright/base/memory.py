"""What libraries are told of memory before they are loaded."""

from __future__ import annotations

import os


def return_freed_pages() -> None:
    """Lets Polars' allocator give freed pages back at once; does nothing where a person has said otherwise.

    Its own setting leaves them with the process until the system runs short, and they count as the process's memory
    meanwhile: for whoever watches it, and under a limit for whoever stops it. Read when Polars is loaded, so it is said
    by a program's entry point, and not at import.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:0")
