"""E-mail: mailboxes (mbox) and single messages (eml), a row for each message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import Literal

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
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
    try:
        text = _text(message)
        values = {
            TEXT: text,
            **{key: _header(message, key) for key in ("subject", "from", "to")},
            "date": _date(_header(message, "date")),
            "attachments": sum(1 for _ in message.iter_attachments()) if message.is_multipart() else 0,
        }
    except (LookupError, ValueError, AttributeError, TypeError, RecursionError) as error:
        # The parser takes everything; what cannot be made of it comes up here (unknown charsets, broken structure).
        return Fault(name, line, f"this message cannot be read ({error})")
    if not text.strip():
        return Fault(name, line, "this message holds no text")
    if any("\ud800" <= letter <= "\udfff" for value in values.values() if isinstance(value, str) for letter in value):
        return Fault(name, line, "bytes of this message are not in the encoding that it names")
    return Row(values, name, line)


def _text(message: EmailMessage) -> str:
    """The plain text, or where there is only HTML, the text of that."""
    body = message.get_body(preferencelist=("plain", "html"))
    if body is None:
        return ""
    payload = body.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    # As the message says, and strictly: the library itself would put marks for what it cannot decode.
    text = payload.decode(body.get_content_charset() or "utf-8")
    text = text.replace("\r\n", "\n")
    return without_markup(text) if body.get_content_subtype() == "html" else text.strip()


def _header(message: EmailMessage, key: str) -> str | None:
    value = message[key]
    return None if value is None else " ".join(str(value).split())


def _date(text: str | None) -> str | None:
    """ISO 8601; as it stands there where it is no date that can be read."""
    try:
        return parsedate_to_datetime(text).isoformat() if text else None
    except ValueError:
        return text
