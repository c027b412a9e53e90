"""Documents as rows: their text as a whole, in sections under headings, or out of markup."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tunewright.base.errors import DataError
from tunewright.data import limits
from tunewright.data.datafile import DataFile
from tunewright.data.delimited import NOT_UTF8
from tunewright.data.rows import Fault, Row

TEXT, TITLE, SECTION = "text", "title", "section"

_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
# Elements of HTML that begin a line.
_BLOCK = re.compile(
    "address|article|aside|blockquote|br|d[dlt]|div|fig(caption|ure)|footer|form|h[1-6r]|header|li|main|nav|[ou]l|p|pre|"
    "section|t[dhr]|table|title"
)
_UNREAD = frozenset(("script", "style", "noscript", "template", "head"))
_CUT = "Cut it into several, or learn it as documents (train.objective: cpt), which streams .txt and .md files."


def read_text(file: DataFile) -> str | Fault:
    """A file's text as a whole, or why it is none."""
    with file.open() as stream:
        try:
            raw = limits.read_whole(stream, limits.MOST_DOCUMENT_BYTES, str(file.path), _CUT)
        except DataError as error:
            return Fault(file.name, 1, f"{error.what[0].lower()}{error.what[1:]}; {error.hint}")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        return Fault(file.name, line, "this file holds zero bytes, and is no text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = error.start - raw.rfind(b"\n", 0, error.start)
        line = raw.count(b"\n", 0, error.start) + 1
        return Fault(file.name, line, NOT_UTF8.format(byte=raw[error.start], position=position))
    return text if text.strip() else Fault(file.name, 1, "this file holds no text")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document: a heading of some level, or text (level 0); and its number, for the row's place."""

    level: int
    text: str
    line: int


def markdown_blocks(text: str) -> Iterator[Block]:
    """Each line of a Markdown text; what looks like a heading inside of fenced code is none."""
    fence = ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1][0] == fence[0] and len(mark[1]) >= len(fence):
            fence = ""
        heading = None if fence or mark else _HEADING.match(line.rstrip("\r\n"))
        yield Block(len(heading[1]), heading[2], number) if heading else Block(0, line, number)


def sections(blocks: Iterable[Block], file: DataFile, *, title: str = "", between: str = "") -> Iterator[Row]:
    """A row for each stretch of text under a heading: `text`, `title`, and `section`, the headings above it.

    Args:
        blocks: The document.
        file: Where it stands.
        title: The document's title; empty: its first heading of the first level, or else the file's name.
        between: What stands between two blocks of text.
    """
    held = list(blocks)
    title = title or next((block.text for block in held if block.level == 1), file.stem)
    above: list[tuple[int, str]] = []
    texts: list[Block] = []

    def row() -> Iterator[Row]:
        text = between.join(block.text for block in texts).strip()
        if text:
            path = " > ".join(heading for _, heading in above)
            first = next(block.line for block in texts if block.text.strip())
            yield Row({TEXT: text, TITLE: title, SECTION: path}, file.name, first)
        texts.clear()

    for block in held:
        if not block.level:
            texts.append(block)
            continue
        yield from row()
        above = [*((level, heading) for level, heading in above if level < block.level), (block.level, block.text)]
    yield from row()


class _Text(html.parser.HTMLParser):
    """Collects what is shown of a page: a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unread += tag in _UNREAD
        if _BLOCK.fullmatch(tag):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in _UNREAD and self._unread > 0
        if _BLOCK.fullmatch(tag):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.parts.append(re.sub(r"\s+", " ", data))


def without_markup(page: str) -> str:
    """All the text that a piece of HTML shows, a line for each block; nothing is judged unimportant."""
    parser = _Text()
    parser.feed(page)
    parser.close()
    lines = (line.strip() for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)
