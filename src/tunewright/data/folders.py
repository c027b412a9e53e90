"""The files behind a source: one, those of a glob, or all of a folder that can be read; and short names for them."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tunewright.base.errors import DataError
from tunewright.base.plugins import READERS
from tunewright.data.datafile import PACKED_SUFFIXES
from tunewright.recipe.places import shown_url
from tunewright.recipe.schema import Source


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a folder and the folders in it.

    Args:
        files: Those that can be read, sorted.
        hidden: How many have a name that begins with a dot, or lie in a folder that does (counted as one).
        unknown: Those that no reader knows.
    """

    files: tuple[Path, ...]
    hidden: int
    unknown: tuple[Path, ...]


def find_files(source: Source) -> list[Path]:
    """The files of a source, sorted; of a folder all that can be read, in whatever folder in it they lie.

    Raises:
        DataError: If there are none, or the source lies elsewhere and is not collected yet (`data/collect.py`).
    """
    if source.is_elsewhere:
        raise DataError(
            "This source is no file, and is not collected yet",
            where=shown_url(source.path),
            hint="Name it in a recipe, and prepare that: tunewright data prepare RECIPE.",
        )
    files = source.files()
    if not files:
        path = Path(source.path)
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=1)
        hint = (
            f"Did you mean '{path.with_name(close[0])}'?" if close else "Check data.train, data.validation, data.test."
        )
        raise DataError("This file does not exist", where=source.path, hint=hint)
    found: list[Path] = []
    for file in files:
        if file.is_dir():
            inside = look_into(file)
            if not inside.files:
                known = ", ".join(suffix for name in READERS.names() for suffix in READERS.module(name).SUFFIXES)
                raise DataError("This folder holds no file that can be read", where=str(file), hint=f"Known: {known}.")
            found.extend(inside.files)
        else:
            found.append(file)
    return list(dict.fromkeys(found))


def look_into(folder: Path) -> Contents:
    """The files in a folder and the folders in it; links to folders are not followed."""
    hidden = 0
    files: list[Path] = []
    unknown: list[Path] = []
    for place, folders, names in os.walk(folder):
        hidden += sum(name.startswith(".") for name in (*folders, *names))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(place) / name
            if not name.startswith("."):
                (files if _is_known(path) else unknown).append(path)
    return Contents(tuple(sorted(files)), hidden, tuple(sorted(unknown)))


def _is_known(path: Path) -> bool:
    """Whether a file's suffix is a reader's, or else its content."""
    from tunewright.data.readers import sniff  # which builds on this file

    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    if suffixes and any(suffixes[-1] in READERS.module(name).SUFFIXES for name in READERS.names()):
        return True
    if path.suffix.lower() == ".urls":
        return False
    try:
        # Any text whose first line has a comma looks like CSV; that much must be said by the name.
        return sniff(path) not in ("csv", "tsv")
    except DataError:
        return False


def short_names(files: Iterable[Path]) -> dict[Path, str]:
    """A name for each file: its own, with as many parent folders as tell equal names apart."""
    remaining = sorted(set(files))
    names: dict[Path, str] = {}
    depth = 1
    while remaining:
        spelled = {file: "/".join(file.parts[-depth:]) for file in remaining}
        counts = Counter(spelled.values())
        unique = {file: name for file, name in spelled.items() if counts[name] == 1}
        names |= unique
        remaining = [file for file in remaining if file not in unique]
        depth += 1
    return names
