"""A list of web pages, an address a line, and the text of each page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tunewright.base.errors import DataError
from tunewright.base.files import atomic_file, hash_value, write_json
from tunewright.data.collecting.web import PAGE, Answer, PageError, Web
from tunewright.data.pages import main_text
from tunewright.data.prose import TEXT, TITLE
from tunewright.data.rows import Fault, Row

_MARKUP = ("text/html", "application/xhtml+xml")
_PLAIN = ("text/plain", "text/markdown")


def page_rows(listed: Path, kept: Path, web: Web, tell: Callable[[int, int], None]) -> Iterator[Row | Fault]:
    """The pages of a list: `text`, `title` and `url`, or why there is none, at its line.

    Args:
        listed: A file with an address a line; empty lines and those that begin with # are passed over.
        kept: Where pages are kept; one that is there is not asked for again.
        web: Who fetches them.
        tell: Hears how many of how many are done.

    Raises:
        DataError: If the list cannot be read, or is empty.
    """
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"This list of pages cannot be read ({error})", where=str(listed)) from error
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    numbered = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if not numbered:
        raise DataError("This list of pages is empty", where=str(listed), hint="Write an address a line.")
    for done, (number, url) in enumerate(numbered):
        tell(done, len(numbered))
        try:
            page = main_text(_html(url, kept, web), url=url)
        except PageError as error:
            yield Fault(listed.name, number, f"{url}: {error.what}")
            continue
        if page.text:
            yield Row({TEXT: page.text, TITLE: page.title or url, "url": url}, listed.name, number)
        else:
            yield Fault(listed.name, number, f"{url}: this page shows no text")
    tell(len(numbered), len(numbered))


def _html(url: str, kept: Path, web: Web) -> str | bytes:
    """A page as it was sent, from the network or from where it is kept."""
    place = kept / hash_value(url)[:32]
    note = place.with_suffix(".json")
    if note.exists():
        encoding = str(json.loads(note.read_text(encoding="utf-8"))["encoding"])
        return _decoded(place.with_suffix(".page").read_bytes(), encoding)
    answer, raw = web.read(url, PAGE)
    _check_kind(answer, url)
    with atomic_file(place.with_suffix(".page")) as temporary:
        temporary.write_bytes(raw)
    # Last, since it says that the page is there.
    write_json(note, {"url": url, "found_at": answer.url, "type": answer.type, "encoding": answer.encoding})
    return _decoded(raw, answer.encoding)


def _check_kind(answer: Answer, url: str) -> None:
    if answer.type and answer.type not in (*_MARKUP, *_PLAIN):
        raise PageError(f"this is {answer.type}, and no page; name it as a source of its own", where=url)


def _decoded(raw: bytes, encoding: str) -> str | bytes:
    """As the site said; else, and where that is wrong, the bytes, whose own marks are then looked at."""
    try:
        return raw.decode(encoding) if encoding else raw
    except (LookupError, UnicodeDecodeError):
        return raw
