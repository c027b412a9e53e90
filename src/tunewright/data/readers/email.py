"""E-mail: mailboxes (mbox) and single messages (eml), a row for each message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data import limits
from tunewright.data.datafile import DataFile, Head
from tunewright.data.limits import read_line
from tunewright.data.prose import TEXT, without_markup
from tunewright.data.rows import Fault, Row
from tunewright.data.structure import MAILBOX

SUFFIXES = (".mbox", ".mbx", ".eml")
BINARY = True  # in an encoding of its own
NESTED = False

_BETWEEN = re.compile(rb"From (?>\S+) .*\d{4}[ \t]*\r?\n?$")
_QUOTED = re.compile(rb">+From ")  # how mailboxes write a line that begins with "From " (RFC 4155, mboxrd)
_HEADER = re.compile(rb"[\w-]+:[ \t]", re.ASCII)


class Config(PluginConfig):
    """E-mail."""

    name: Literal["email"] = "email"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return bool(MAILBOX.match(head.raw)) or (head.suffix in SUFFIXES and bool(_HEADER.match(head.raw)))


def columns(file: DataFile) -> list[str]:
    """The columns of its rows."""
    return [TEXT, "subject", "from", "to", "date", "attachments"]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each message: its text, who wrote it to whom and when (ISO 8601), and how many attachments it has."""
    for line, raw in _messages(file):
        yield Fault(file.name, line, _too_large()) if raw is None else _row(raw, file.name, line)


def _too_large() -> str:
    return f"this message is larger than {limits.in_megabytes(limits.MOST_DOCUMENT_BYTES)}"


def _messages(file: DataFile) -> Iterator[tuple[int, bytes | None]]:
    """The line each message starts on, and its bytes; None for one that is too large to be held."""
    with file.open() as stream:
        begun, parts, size = 0, list[bytes](), 0
        number, after_blank = 0, True
        while True:
            raw, cut = read_line(stream)
            number += 1
            starts = after_blank and bool(_BETWEEN.match(raw))
            if (starts or not raw) and begun:
                yield begun, None if size > limits.MOST_DOCUMENT_BYTES else b"".join(parts)
            if not raw:
                return
            if starts or not begun:
                begun, parts, size = number, [], 0
            if not starts:
                size += limits.MOST_DOCUMENT_BYTES + 1 if cut else len(raw)
                if size <= limits.MOST_DOCUMENT_BYTES:
                    parts.append(raw[1:] if _QUOTED.match(raw) else raw)
                else:
                    parts.clear()
            after_blank = not raw.strip()


def _row(raw: bytes, name: str, line: int) -> Row | Fault:
    try:
        message = BytesParser().parsebytes(raw)
        parts = list(_parts(message))
        text = _text(parts)
        values = {
            TEXT: text,
            **{key: _header(message, key) for key in ("subject", "from", "to")},
            "date": _date(_header(message, "date")),
            "attachments": sum(map(_is_attachment, parts)),
        }
    except (LookupError, ValueError, AttributeError, TypeError, RecursionError, HeaderParseError) as error:
        # The parser takes everything; what cannot be made of it comes up here (unknown charsets, broken structure).
        return Fault(name, line, f"this message cannot be read ({error})")
    return Row(values, name, line) if text.strip() else Fault(name, line, "this message holds no text")


def _parts(message: Any) -> Iterator[Any]:
    """The parts of a message, in order; a message that is attached to it is one part."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting.extend(reversed(part.get_payload()))
        else:
            yield part


def _is_attachment(part: Any) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _text(parts: Sequence[Any]) -> str:
    """The plain text, or where there is only HTML, the text of that."""
    texts = [part for part in parts if not _is_attachment(part)]
    for kind in ("text/plain", "text/html"):
        for part in texts:
            if part.get_content_type() == kind:
                # As the message says, and strictly: the library itself would put marks for what it cannot decode.
                raw: bytes = part.get_payload(decode=True) or b""
                text = raw.decode(part.get_content_charset() or "utf-8").replace("\r\n", "\n")
                return without_markup(text) if kind == "text/html" else text.strip()
    return ""


def _header(message: Any, key: str) -> str | None:
    # Not by the library's own header classes, which take minutes for a header that is meant to take long.
    found = next((value for name, value in message.raw_items() if name.lower() == key), None)
    if found is None:
        return None
    text = str(found).encode(errors="surrogateescape").decode()
    return " ".join(str(make_header(decode_header(text))).split())


def _date(text: str | None) -> str | None:
    """ISO 8601; as it stands there where it is no date that can be read."""
    try:
        return parsedate_to_datetime(text).isoformat() if text else None
    except ValueError:
        return text
