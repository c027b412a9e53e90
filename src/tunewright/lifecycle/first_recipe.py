"""A first recipe for one's own data."""

from __future__ import annotations

from pathlib import Path

from tunewright.base.errors import InputError
from tunewright.base.files import write_text

_BLANK = Path(__file__).with_name("starter.yaml")


def write_starter(out: Path, *, source: Path | None = None, force: bool = False) -> Path:
    """Writes a commented recipe, fitted to a data file's columns where one is given.

    Args:
        out: The recipe to write; the data file is named relative to its folder.
        source: A data file.
        force: Whether an existing file may be written over.

    Raises:
        InputError: If the file exists already.
        DataError: If the data file cannot be read.
    """
    if out.exists() and not force:
        raise InputError("This file exists already", where=str(out), hint="Choose another with --out, or add --force.")
    write_text(out, _fitted(source, out) if source else _BLANK.read_text(encoding="utf-8"))
    return out


def _fitted(source: Path, out: Path) -> str:
    from tunewright.data.starter import starter

    return starter(source, folder=out.absolute().parent)
