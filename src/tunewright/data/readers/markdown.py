"""Markdown: a row for each section under a heading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.datafile import DataFile, Head
from tunewright.data.prose import SECTION, TEXT, TITLE, markdown_blocks, read_text, sections
from tunewright.data.rows import Fault, Row

SUFFIXES = (".md", ".markdown")
BINARY = False
NESTED = False


class Config(PluginConfig):
    """Markdown."""

    name: Literal["markdown"] = "markdown"


def claims(head: Head) -> bool:
    """Whether a file is of this kind; any text is Markdown, so its suffix must say so."""
    return head.suffix in SUFFIXES and not head.structure


def columns(file: DataFile) -> list[str]:
    """The columns of its rows."""
    return [TEXT, TITLE, SECTION]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """The sections, each with the headings above it."""
    text = read_text(file)
    if isinstance(text, Fault):
        yield text
        return
    rows: list[Row | Fault] = list(sections(markdown_blocks(text), file))
    yield from rows or [Fault(file.name, 1, "this file holds headings, and no text under them")]
