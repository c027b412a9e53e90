"""The templates beside this file, and Markdown as HTML that cannot do anything."""

from __future__ import annotations

import functools

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup


@functools.cache
def templates() -> Environment:
    """The studio's templates, with the report's colours at hand; every text that goes into one is escaped."""
    return Environment(
        loader=ChoiceLoader(
            [PackageLoader("tunewright.studio", "pages"), PackageLoader("tunewright.lifecycle", "report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.lru_cache(maxsize=32)
def markdown(text: str) -> Markup:
    """Markdown as HTML: tags in it are shown as text, pictures are left out, links go to web pages at most."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(reader.render(text))  # noqa: S704 - the reader escapes all that the text holds
