"""The main text of a web page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunewright.base.errors import MissingExtraError
from tunewright.data.prose import without_markup


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says: the main text without menus and markup, and its title, empty where it has none."""

    text: str
    title: str


def main_text(html: str | bytes, url: str | None = None) -> Page:
    """The main text of a page: by trafilatura (Barbaresi 2021), or all that it shows where that finds nothing.

    Raises:
        MissingExtraError: If trafilatura is not installed.
    """
    try:
        import trafilatura
    except ImportError as error:
        package = error.name or "trafilatura"
        raise MissingExtraError(package, extra="web", needed_for="Reading web pages") from None
    tree = trafilatura.load_html(html)
    if tree is None:
        return Page("", "")
    found: Any = trafilatura.bare_extraction(
        tree, url=url, include_comments=False, include_tables=True, favor_recall=True, with_metadata=True
    )
    text = (found.text or "").strip() if found else ""
    title = (found.title or "").strip() if found else ""
    if not text:
        page = html.decode("utf-8", errors="replace") if isinstance(html, bytes) else html
        text = without_markup(page)
    return Page(text, title)
