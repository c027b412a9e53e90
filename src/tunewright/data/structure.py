"""Which kind of text a file is, by its content: JSONL, JSON, CSV or TSV, or prose; and how it is encoded."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

from tunewright.base.errors import DataError
from tunewright.data.datafile import Head
from tunewright.data.delimited import DELIMITERS, guess_delimiter

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
#: Files of prose; a comma in the first line makes no table of them.
PROSE = (".txt", ".text", ".md", ".markdown", ".rst")
# Atomic groups, so that no run of comments or letters is gone through twice.
MAILBOX = re.compile(rb"From (?>\S+) [^\n]*\d{4}[ \t]*\r?\n[\w-]+:[ \t]", re.ASCII)
PAGE = re.compile(
    r"(?>\s*)(?:(?><\?xml[^>]*>)(?>\s*))?(?:(?><!--.*?-->)(?>\s*))*+(?:<!doctype html|<html[\s>])",
    re.IGNORECASE | re.DOTALL,
)

_LONGEST_NAME_CHARACTERS = 60
_LEAST_FOREIGN_LINES = 3
_ZERO_SHARE = 0.2


def structure_of(head: Head) -> str:
    """`jsonl`, `json`, `csv` or `tsv`; empty where the text is none of these."""
    suffix = _SUFFIXES.get(head.suffix, "")
    lines = head.lines
    if not lines or MAILBOX.match(head.raw) or PAGE.match(head.text):
        return ""
    first, mark = lines[0], lines[0][0]
    tabular = suffix if suffix in ("csv", "tsv") else ("tsv" if "\t" in first else "csv")
    if mark == "{" and _is_object(first):
        # One whole object on the first line: JSONL, unless it is all there is and the file is called JSON.
        return "json" if len(lines) == 1 and suffix == "json" else "jsonl"
    if head.suffix in PROSE:
        return _of_prose(head, tabular)
    if mark in "[{":
        return _of_broken(mark, first, lines, tabular, suffix)
    if suffix in ("jsonl", "json"):
        looks_like_json = any(line.startswith(("{", "[")) for line in lines)
        return suffix if looks_like_json or not _is_header(first) else tabular
    return tabular if suffix in ("csv", "tsv") or _is_header(first) else ""


def _of_broken(mark: str, first: str, lines: Sequence[str], tabular: str, suffix: str) -> str:
    """A text that begins like JSON, but whose first line alone is no object."""
    if suffix in ("csv", "tsv") and not (first == mark or first[1:].lstrip().startswith(("{", '"'))):
        return tabular  # a header such as `[id],text`
    if suffix == "jsonl" and not (mark == "[" and (first == "[" or first[1:].lstrip().startswith("{"))):
        return "jsonl"
    objects = sum(line.startswith("{") and line.endswith("}") for line in lines)
    return "jsonl" if mark == "{" and len(lines) > 1 and objects > len(lines) // 2 else "json"


def _of_prose(head: Head, tabular: str) -> str:
    """A table in a file of prose: each record has as many cells as the first, and the first reads like names."""
    lines = head.lines if head.whole else head.lines[:-1]
    if len(lines) < 2:
        return ""
    delimiter = guess_delimiter(lines[0], "\t" if tabular == "tsv" else ",")
    try:
        records = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return ""
    names = [name.strip() for name in records[0]]
    is_table = (
        len(names) > 1
        and all(len(record) == len(names) for record in records)
        and len(set(names)) == len(names)
        and all(0 < len(name) <= _LONGEST_NAME_CHARACTERS and name[-1] not in ".!?" for name in names)
    )
    # "Dear all, good morning" has two cells, too; a header has no space behind its commas.
    spaced = delimiter == "," and ", " in lines[0]
    return tabular if is_table and not spaced else ""


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_header(line: str) -> bool:
    return any(mark in line for mark in DELIMITERS)


def check_text(head: Head, path: Path) -> None:
    """Raises a `DataError` if a file as a whole is no UTF-8 text, or empty, or has lines of an old kind."""
    if not head.raw.strip():
        raise DataError("This file is empty", where=str(path))
    if name := _wide(head.raw):
        raise DataError(
            f"This file is {name}, and not UTF-8",
            where=str(path),
            hint=f"Convert it first: iconv -f {name} -t UTF-8 FILE > NEW.",
        )
    if _is_latin(head):
        raise DataError(
            "This file is not UTF-8; it looks like Latin-1 or Windows-1252",
            where=str(path),
            hint="Convert it first: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW.",
        )
    if b"\r" in head.raw and b"\n" not in head.raw:
        raise DataError(
            "The lines of this file end in a lone carriage return",
            where=str(path),
            hint=r"Convert it first: tr '\r' '\n' < FILE > NEW.",
        )


def _wide(raw: bytes) -> str:
    """The name of a wide encoding, by its mark, or by every other byte being zero; empty if there is none."""
    for mark, name in ((b"\xff\xfe\0\0", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if raw.startswith(mark):
            return name
    even, odd = raw[::2].count(0), raw[1::2].count(0)
    if max(even, odd) > _ZERO_SHARE * len(raw) and min(even, odd) < max(even, odd) / 10:
        return "UTF-16LE" if odd > even else "UTF-16BE"
    return ""


def _is_latin(head: Head) -> bool:
    """Whether several lines have letters beyond ASCII, and none of them is UTF-8."""
    lines = head.raw.split(b"\n")
    beyond = [line for line in (lines if head.whole else lines[:-1]) if not line.isascii()]
    return len(beyond) >= _LEAST_FOREIGN_LINES and all("\ufffd" in line.decode(errors="replace") for line in beyond)
