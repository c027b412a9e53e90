"""Tab-separated values: a header, then a record a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.datafile import DataFile, Head
from tunewright.data.delimited import read_delimited, read_header
from tunewright.data.rows import Fault, Row

SUFFIXES = (".tsv", ".tab")
BINARY = False
NESTED = False


class Config(PluginConfig):
    """TSV."""

    name: Literal["tsv"] = "tsv"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return head.structure == "tsv"


def columns(file: DataFile) -> list[str]:
    """The names in the header."""
    return read_header(file, usual="\t")


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each record that has as many cells as the header."""
    return read_delimited(file, usual="\t")
