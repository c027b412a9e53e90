"""PDF: a row for each page that has text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import silent
from tunewright.data.datafile import DataFile, Head
from tunewright.data.prose import TEXT, TITLE
from tunewright.data.rows import Fault, Row

SUFFIXES = (".pdf",)
BINARY = True
NESTED = False

_MARK_WITHIN_BYTES = 1024  # what readers of PDF commonly allow in front of it
_SCAN = "text recognition (such as ocrmypdf) makes text of it"


class Config(PluginConfig):
    """PDF."""

    name: Literal["pdf"] = "pdf"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return b"%PDF-" in head.raw[:_MARK_WITHIN_BYTES]


def columns(file: DataFile) -> list[str]:
    """The columns of its rows."""
    return [TEXT, TITLE, "page"]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each page with text; a fault for each with pictures alone, or for a document without any text."""
    opened = _open(file)
    if isinstance(opened, Fault):
        yield opened
        return
    document, title, pages = opened
    scanned: list[int] = []
    found = False
    for number in range(1, pages + 1):
        row = _read_page(document, number, title, file.name)
        found = found or isinstance(row, Row)
        if isinstance(row, int):
            scanned.append(number)
        elif row is not None:
            yield row
    if not found:
        yield Fault(file.name, 1, f"none of this PDF's {pages:,} pages holds text; {_SCAN}")
        return
    for number in scanned:
        yield Fault(file.name, number, f"this page holds pictures and no text; {_SCAN}")


# What pypdf lets through when a file is not what it says: wrong types, missing keys, endless references.
_BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, NotImplementedError)


def _open(file: DataFile) -> tuple[Any, str, int] | Fault:
    """The document, its title and its number of pages; or why it cannot be read."""
    import pypdf
    from pypdf.errors import PyPdfError

    path = file.plain_path("PDF")
    try:
        with silent("pypdf"):
            document = pypdf.PdfReader(path)
            if document.is_encrypted and not document.decrypt(""):
                return Fault(file.name, 1, "this PDF has a password")
            title = str((document.metadata and document.metadata.title) or "").strip()
            return document, title or file.stem, len(document.pages)
    except (PyPdfError, OSError, *_BROKEN) as error:
        return Fault(file.name, 1, f"this PDF cannot be read ({_reason(error)})")


def _read_page(document: Any, number: int, title: str, name: str) -> Row | Fault | int | None:
    """The page's row, or its fault; its number where it holds pictures alone, and None where it is blank."""
    from pypdf.errors import PyPdfError

    try:
        with silent("pypdf"):
            page = document.pages[number - 1]
            text = page.extract_text().strip()
        if not text:
            return number if "/XObject" in (page.get("/Resources") or {}) else None
    except (PyPdfError, OSError, *_BROKEN) as error:
        return Fault(name, number, f"this page cannot be read ({_reason(error)})")
    # Half of a surrogate pair comes from broken character maps, and can neither be stored nor learned.
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return Fault(name, number, "this page's characters are not mapped to text")
    return Row({TEXT: text, TITLE: title, "page": number}, name, number)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip().rstrip(".") or type(error).__name__
