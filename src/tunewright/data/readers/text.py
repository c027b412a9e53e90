"""Plain text: one document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.datafile import DataFile, Head
from tunewright.data.prose import TEXT, TITLE, read_text
from tunewright.data.rows import Fault, Row

SUFFIXES = (".txt", ".text", ".rst")
BINARY = False
NESTED = False


class Config(PluginConfig):
    """Plain text."""

    name: Literal["text"] = "text"


def claims(head: Head) -> bool:
    """Whether a file is of this kind; text has no mark of its own, so its suffix must say so."""
    return head.suffix in SUFFIXES and not head.structure


def columns(file: DataFile) -> list[str]:
    """The columns of its rows."""
    return [TEXT, TITLE]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """One row, titled with the file's name."""
    text = read_text(file)
    yield text if isinstance(text, Fault) else Row({TEXT: text, TITLE: file.stem}, file.name, 1)
