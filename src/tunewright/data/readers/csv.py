"""Comma-separated values, or with semicolons or bars: a header, then a record a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.datafile import DataFile, Head
from tunewright.data.delimited import read_delimited, read_header
from tunewright.data.rows import Fault, Row

SUFFIXES = (".csv",)
BINARY = False
NESTED = False


class Config(PluginConfig):
    """CSV."""

    name: Literal["csv"] = "csv"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return head.structure == "csv"


def columns(file: DataFile) -> list[str]:
    """The names in the header."""
    return read_header(file, usual=",")


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each record that has as many cells as the header."""
    return read_delimited(file, usual=",")
