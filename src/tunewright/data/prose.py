"""Documents as rows: their text as a whole, in sections under headings, or out of markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import unescape

from tunewright.base.errors import DataError
from tunewright.data import limits
from tunewright.data.datafile import DataFile
from tunewright.data.delimited import NOT_UTF8
from tunewright.data.rows import Fault, Row

TEXT, TITLE, SECTION = "text", "title", "section"

_HEADING = re.compile(r"(#{1,6})[ \t]")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
# Elements of HTML that begin a line.
_BLOCK = re.compile(
    "address|article|aside|blockquote|br|d[dlt]|div|fig(caption|ure)|footer|form|h[1-6r]|header|li|main|nav|[ou]l|p|pre|"
    "section|t[dhr]|table|title"
)
_UNREAD = frozenset(("script", "style", "noscript", "template", "head"))
_TAG = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]*|[!?])")
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
        heading = None if fence or mark else _HEADING.match(line)
        text = line[heading.end() :].strip().rstrip("#").rstrip() if heading else ""
        yield Block(len(heading[1]), text, number) if heading and text else Block(0, line, number)


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


def without_markup(page: str) -> str:
    """All the text that a piece of HTML shows, a line for each block; nothing is judged unimportant.

    Goes over the page once, whatever it holds: Python's own parser takes a day for a megabyte of tags left open.
    """
    lines = (" ".join(line.split()) for line in "".join(_shown(page)).split("\0"))
    return "\n".join(line for line in lines if line)


def _shown(page: str) -> Iterator[str]:
    """The pieces of text between tags, and a NUL byte where a block begins or ends."""
    lower = page.lower() if len(page.lower()) == len(page) else page
    at = 0
    while (tag := _TAG.search(page, at)) is not None:
        yield unescape(page[at : tag.start()].replace("\0", ""))
        name, is_comment = (tag[2] or "").lower(), tag[0] == "<!--"
        skipped = name in _UNREAD and not tag[1]
        if is_comment:
            end = page.find("-->", tag.end())
        elif skipped:
            end = lower.find(f"</{name}", tag.end())
        else:
            end = page.find(">", tag.end())
            if _BLOCK.fullmatch(name):
                yield "\0"
        if end < 0:
            return  # never closed: browsers show nothing of it, either
        # Of what is not shown the closing tag comes next.
        at = end if skipped else end + (3 if is_comment else 1)
    yield unescape(page[at:].replace("\0", ""))
