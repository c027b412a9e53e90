"""Share of answers that are well-formed Markdown.

Any text is Markdown to a parser, so what counts as valid is that nothing was begun and left open, and that what is
shown is what was meant:

- `fences`: every fenced code block is closed;
- `tables`: all rows of a table have as many cells as its head, and no table is broken so that it is read as a text;
- `headings`: no heading is empty, and none skips a level downwards (`#`, then `###`);
- `emphasis`: no `**` is left over in the text;
- `links`: no link is left open (`[text](address`).

Read by markdown-it-py (CommonMark, with tables). An empty answer is not valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share

NEEDS_REFERENCE = False
ABOUT = {"markdown_valid": About("Valid Markdown", "the answer is Markdown with nothing left open or broken")}

Check = Literal["fences", "tables", "headings", "emphasis", "links"]

_DELIMITER_ROW = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$", re.MULTILINE)
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_OPEN_LINK = re.compile(r"\]\([^)\s]*$")
_LEFT_OVER = re.compile(r"\*\*(?=\S)|(?<=\S)\*\*")


class Config(PluginConfig):
    """Settings of Markdown validity."""

    name: Literal["markdown_valid"] = "markdown_valid"
    checks: tuple[Check, ...] = Field(
        ("fences", "tables", "headings", "emphasis", "links"), min_length=1, description="What must be in order."
    )


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where every check passes, else 0; reduced to the mean."""
    require_answers(config.name, answers)
    return [share(config.name, [_is_valid(answer.prediction, config.checks) for answer in answers])]


def _is_valid(text: str, checks: Sequence[Check]) -> bool:
    if not text.strip():
        return False
    tokens, lines = _parser().parse(text), text.split("\n")
    return not any(_BROKEN[check](tokens, lines) for check in checks)


def _open_fence(tokens: Sequence[Any], lines: Sequence[str]) -> bool:
    for token in tokens:
        if token.type == "fence":
            first, end = token.map
            last = lines[end - 1].strip().lstrip("> ")
            closes = len(last) >= len(token.markup) and set(last) == {token.markup[0]}
            if end - first < 2 or not closes:
                return True
    return False


def _broken_table(tokens: Sequence[Any], lines: Sequence[str]) -> bool:
    for token in tokens:
        if token.type == "table_open":
            first, end = token.map
            if len({_cells(line) for line in lines[first:end]}) > 1:
                return True
    return any(_DELIMITER_ROW.search(token.content) for token in tokens if token.type == "inline")


def _cells(line: str) -> int:
    inside = line.strip().strip("> ").removeprefix("|").removesuffix("|")
    return len(_CELL_BORDER.split(inside))  # a border in code is one too, unless it has a backslash


def _broken_heading(tokens: Sequence[Any], lines: Sequence[str]) -> bool:
    level = 0
    for token, inside in pairwise(tokens):
        if token.type == "heading_open":
            found = int(token.tag[1:])
            if not inside.content.strip() or (level and found > level + 1):
                return True
            level = found
    return False


def _left_over(tokens: Sequence[Any], lines: Sequence[str]) -> bool:
    return any(_LEFT_OVER.search(text) for text in _texts(tokens))


def _open_link(tokens: Sequence[Any], lines: Sequence[str]) -> bool:
    return any(_OPEN_LINK.search(text) for text in _texts(tokens))


def _texts(tokens: Sequence[Any]) -> Iterator[str]:
    """What is shown as plain text, code aside."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "text":
                yield child.content


_BROKEN: dict[str, Callable[[Sequence[Any], Sequence[str]], bool]] = {
    "fences": _open_fence,
    "tables": _broken_table,
    "headings": _broken_heading,
    "emphasis": _left_over,
    "links": _open_link,
}


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")
