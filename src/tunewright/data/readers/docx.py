"""Word documents (DOCX): a row for each section under a heading."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any, Literal

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.data import limits
from tunewright.data.datafile import BROKEN_ZIP, DataFile, Head, check_archive
from tunewright.data.prose import SECTION, TEXT, TITLE, Block, sections
from tunewright.data.rows import Fault, Row

SUFFIXES = (".docx",)
BINARY = True
NESTED = False

_DOCUMENT = "word/document.xml"
# ECMA-376, part 1, in the transitional and the strict namespace.
_SPACES = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",
)
_DEEPEST = 6


class Config(PluginConfig):
    """DOCX."""

    name: Literal["docx"] = "docx"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return _DOCUMENT in head.members


def columns(file: DataFile) -> list[str]:
    """The columns of its rows."""
    return [TEXT, TITLE, SECTION]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """The sections, each with the headings above it; tables a line a row, their cells with tabs between."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    path = file.plain_path("DOCX")
    try:
        check_archive(path, limits.MOST_DOCUMENT_BYTES * 16)  # pictures count, and are not read
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(_DOCUMENT).file_size
            if size > limits.MOST_DOCUMENT_BYTES:
                raise DataError(f"The text unpacks to more than {limits.in_megabytes(limits.MOST_DOCUMENT_BYTES)}")
            body = fromstring(archive.read(_DOCUMENT))
            levels, title = _heading_levels(archive), _title(archive)
    except DataError as error:
        yield Fault(file.name, 1, error.what[0].lower() + error.what[1:])
        return
    except (*BROKEN_ZIP, ParseError, DefusedXmlException, LookupError, ValueError, OSError) as error:
        yield Fault(file.name, 1, f"this document cannot be read ({error})")
        return
    rows: list[Row | Fault] = list(sections(_blocks(body, levels), file, title=title, between="\n"))
    yield from rows or [Fault(file.name, 1, "this document holds no text")]


def _heading_levels(archive: zipfile.ZipFile) -> dict[str, int]:
    """Level by style: styles are called `heading 1` inside, whatever they are called in the writer's language."""
    from defusedxml.ElementTree import fromstring

    levels = {"Title": 1} | {f"Heading{level}": level for level in range(1, _DEEPEST + 1)}
    if "word/styles.xml" not in archive.namelist():
        return levels
    for style in fromstring(archive.read("word/styles.xml")):
        space, _, kind = style.tag.rpartition("}")
        name = style.find(f"{space}}}name") if kind == "style" else None
        words = str(name.get(f"{space}}}val") if name is not None else "").lower().split()
        if len(words) == 2 and words[0] == "heading" and words[1].isdigit():
            levels[str(style.get(f"{space}}}styleId"))] = int(words[1])
    return levels


def _title(archive: zipfile.ZipFile) -> str:
    """The title among the document's properties; empty where there is none."""
    from defusedxml.ElementTree import fromstring

    if "docProps/core.xml" not in archive.namelist():
        return ""
    found = fromstring(archive.read("docProps/core.xml")).find("{http://purl.org/dc/elements/1.1/}title")
    return (found.text or "").strip() if found is not None else ""


def _blocks(document: Any, levels: dict[str, int]) -> Iterator[Block]:
    """Headings, paragraphs and rows of tables, in order, numbered from one."""
    space = next((space for space in _SPACES if document.tag.startswith(space)), _SPACES[0])
    body = document.find(f"{space}body")
    pieces = [] if body is None else list(_pieces(body, space))
    for number, (style, text) in enumerate(pieces, 1):
        yield Block(levels.get(style, 0) if text.strip() else 0, text, number)


def _pieces(place: Any, space: str) -> Iterator[tuple[str, str]]:
    """(style, text) of each paragraph and of each table's row, also inside of content controls."""
    for item in place:
        kind = item.tag.removeprefix(space)
        if kind == "p":
            style = item.find(f"{space}pPr/{space}pStyle")
            yield (str(style.get(f"{space}val")) if style is not None else ""), _text(item, space)
        elif kind == "tbl":
            for row in item.findall(f"{space}tr"):
                cells = (cell.iter(f"{space}p") for cell in row.findall(f"{space}tc"))
                yield "", "\t".join(" ".join(_text(p, space) for p in inside) for inside in cells)
        elif kind in ("sdt", "sdtContent", "ins", "smartTag", "customXml"):
            yield from _pieces(item, space)


def _text(paragraph: Any, space: str) -> str:
    """The text of a paragraph; what is marked as deleted stands in other elements, and is left out."""
    marks = {f"{space}tab": "\t", f"{space}br": "\n", f"{space}cr": "\n", f"{space}noBreakHyphen": "-"}
    parts: list[str] = []
    waiting = [paragraph]
    while waiting:
        item = waiting.pop()
        if item.tag == f"{space}t":
            parts.append(item.text or "")
        elif item.tag in marks:
            parts.append(marks[item.tag])
        # Properties hold no text, and a fallback says again what stands beside it.
        elif item.tag != f"{space}pPr" and not item.tag.endswith("}Fallback"):
            waiting.extend(reversed(item))
    return "".join(parts)
