"""Plain documents, read section by section, so that memory grows neither with a file nor with a document.

A document is a row's field `text` (JSONL, JSON, CSV, TSV, Parquet), or a whole file that is called .txt or .md. A long
one is read in sections that end at a line's end.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunewright.base.errors import DataError
from tunewright.data.delimited import NOT_UTF8
from tunewright.data.readers import check_columns, find_files, read_rows
from tunewright.data.rows import Fault, Row
from tunewright.recipe.schema import Source

TEXT = "text"
SECTION_CHARACTERS = 1 << 18
_PLAIN = (".txt", ".md", ".markdown", ".text")
_READ_BYTES = 1 << 20
_ID_BYTES = 8
_PART = "/"  # stands between a document's id and the number of its section


@dataclass(frozen=True, slots=True)
class Section:
    """A document, or a piece of a long one.

    Args:
        id: The document's id; further sections have `/2`, `/3`, … behind it.
        source: Name of the file.
        line: The line or row it came from, counted from 1; 1 for a whole file.
        text: The text.
    """

    id: str
    source: str
    line: int
    text: str

    @property
    def document(self) -> str:
        """The id of the document."""
        return document_of(self.id)


def document_of(section: str) -> str:
    """The id of the document that a section belongs to, by the section's own."""
    return section.partition(_PART)[0]


def is_plain(file: Path) -> bool:
    """Whether a file is one document as a whole."""
    return file.suffix.lower() in _PLAIN


def check_documents(source: Source) -> None:
    """Raises a `DataError` if a file is missing, or has no field for the text."""
    files = find_files(source)
    for file in files:
        if not is_plain(file):
            one = Source(path=str(file), columns=source.columns, sheet=source.sheet)
            check_columns(one, (TEXT,), hint="It holds the document; name another under columns: {text: body}.")


def read_documents(source: Source, names: Mapping[Path, str]) -> Iterator[Section | Fault]:
    """The documents of a source, in order; a `Fault` for each that cannot be used.

    Args:
        source: Where they come from.
        names: What sections and faults call each file.
    """
    for file in find_files(source):
        name = names[file]
        if is_plain(file):
            yield from _read_plain(file, name)
            continue
        one = Source(path=str(file), columns=source.columns, sheet=source.sheet)
        for row in read_rows(one, {file: name}):
            yield from [row] if isinstance(row, Fault) else _read_row(row)


def _read_row(row: Row) -> Iterator[Section | Fault]:
    text = row.values.get(TEXT)
    if not isinstance(text, str):
        yield Fault(row.file, row.line, f"'{TEXT}' is {'missing' if text is None else 'not a text'}")
    elif not text.strip():
        yield Fault(row.file, row.line, f"'{TEXT}' is empty")
    else:
        yield from _sections(io.StringIO(text).read, row.file, row.line)


def _read_plain(file: Path, name: str) -> Iterator[Section | Fault]:
    if fault := _fault_of(file):
        yield Fault(name, 1, fault)
        return
    with file.open(encoding="utf-8-sig") as stream:
        yield from _sections(stream.read, name, 1)


def _fault_of(file: Path) -> str:
    """Why a file is no text; empty if it is one. Looked at as a whole, before any of it is used."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    holds_text, done = False, 0
    try:
        with file.open("rb") as stream:
            while raw := stream.read(_READ_BYTES):
                if b"\0" in raw:
                    return "this file holds zero bytes, and is no text"
                holds_text = holds_text or not decoder.decode(raw).isspace()
                done += len(raw)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return NOT_UTF8.format(byte=error.object[error.start], position=done + error.start + 1)
    except OSError as error:
        raise DataError(f"This file cannot be read ({error.strerror})", where=str(file)) from error
    return "" if holds_text else "this file is empty"


def _sections(read: Callable[[int], str], name: str, line: int) -> Iterator[Section]:
    """A text in sections of about equal size, each ending behind a line break, or else a space, where there is one."""
    carried, number, document = "", 0, ""
    while True:
        chunk = read(SECTION_CHARACTERS)
        text = carried + chunk
        if not text:
            return
        cut = len(text)
        if len(chunk) == SECTION_CHARACTERS:
            cut = text.rfind("\n") + 1 or text.rfind(" ") + 1 or cut
        number += 1
        if number == 1:
            # By place and content: equal documents are still two.
            place = f"{name}\0{line}\0{text[:cut]}".encode(errors="surrogatepass")
            document = hashlib.sha256(place).hexdigest()[: 2 * _ID_BYTES]
        yield Section(document if number == 1 else f"{document}{_PART}{number}", name, line, text[:cut])
        carried = text[cut:]
