"""A web page in a file: its main text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.data import limits
from tunewright.data.datafile import DataFile, Head
from tunewright.data.pages import main_text
from tunewright.data.prose import TEXT, TITLE
from tunewright.data.rows import Fault, Row
from tunewright.data.structure import PAGE

SUFFIXES = (".html", ".htm", ".xhtml")
BINARY = True  # in an encoding of its own
NESTED = False


class Config(PluginConfig):
    """HTML."""

    name: Literal["html"] = "html"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return bool(PAGE.match(head.text)) or (head.suffix in SUFFIXES and "<" in head.text and not head.structure)


def columns(file: DataFile) -> list[str]:
    """The columns of its rows."""
    return [TEXT, TITLE]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """One row, titled as the page is, or else with the file's name; in whatever encoding the page says it is."""
    with file.open() as stream:
        try:
            raw = limits.read_whole(stream, limits.MOST_DOCUMENT_BYTES, str(file.path), "Cut it into several.")
        except DataError as error:
            yield Fault(file.name, 1, error.what[0].lower() + error.what[1:])
            return
    page = main_text(raw)
    if page.text:
        yield Row({TEXT: page.text, TITLE: page.title or file.stem}, file.name, 1)
    else:
        yield Fault(file.name, 1, "this page shows no text")
