"""How much of a file is held at once, and what is refused beyond that: memory stays flat whatever the file holds."""

from __future__ import annotations

from typing import BinaryIO

from tunewright.base.errors import DataError

#: A line of JSONL or CSV; a book of a million words has about six million bytes.
MOST_LINE_BYTES = 16 << 20
#: A file or e-mail that is parsed as a whole: text, Markdown, HTML, DOCX, one message.
MOST_DOCUMENT_BYTES = 64 << 20
#: A JSON document, which cannot be used before its last bracket is read.
MOST_JSON_BYTES = 512 << 20
#: Lists and objects inside one another in one JSON record.
MOST_NESTED = 100
#: What a compressed file unpacks to, in all, and as a multiple of its own size once that is worth a look. Text shrinks
#: to a tenth, machine logs to a fiftieth; deflate cannot go beyond 1,032.
MOST_UNPACKED_BYTES = 64 << 30
MOST_UNPACKED_RATIO = 200
RATIO_FROM_BYTES = 64 << 20

_SKIP_BYTES = 1 << 20


def read_line(file: BinaryIO) -> tuple[bytes, bool]:
    """The next line with its line break, empty at the end; (b"\\n", True) for one over `MOST_LINE_BYTES`, left out."""
    raw = file.readline(MOST_LINE_BYTES + 1)
    if len(raw) <= MOST_LINE_BYTES or raw.endswith(b"\n"):
        return raw, False
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(_SKIP_BYTES)
    return b"\n", True


def too_long() -> str:
    """Why a line is set aside."""
    return f"this line is longer than {in_megabytes(MOST_LINE_BYTES)}; is a line break missing?"


def read_whole(file: BinaryIO, most: int, where: str, hint: str) -> bytes:
    """All of a file of at most so many bytes.

    Raises:
        DataError: If it is larger.
    """
    raw = file.read(most + 1)
    if len(raw) > most:
        raise DataError(f"This file is larger than {in_megabytes(most)}", where=where, hint=hint)
    return raw


def check_unpacked(unpacked: int, packed: int, where: str) -> None:
    """Raises a `DataError` if a compressed file, or what it has given so far, is out of all proportion."""
    ratio = unpacked / max(1, packed)
    if unpacked > MOST_UNPACKED_BYTES or (unpacked > RATIO_FROM_BYTES and ratio > MOST_UNPACKED_RATIO):
        raise DataError(
            f"This file unpacks to more than {in_megabytes(unpacked)}, {ratio:,.0f} times its size",
            where=where,
            hint="It looks like a zip bomb. If it is none, unpack it by hand and name the files inside.",
        )


def in_megabytes(count: int) -> str:
    """A number of bytes for people, rounded up."""
    return f"{-(-count // (1 << 20)):,} MiB" if count >= 1 << 20 else f"{count:,} bytes"
