"""Takes HTML tags and entities out of text, and Markdown where asked; code keeps every byte.

Only what HTML knows as an element is a tag: `a < b`, `List<String>`, `<name>` and `<|end|>` stay. That is why no HTML
parser does this work: it would take all of them for elements. `<br>` and the ends of blocks become line breaks, `<pre>`
becomes a fenced block and `<code>` code between backticks.
"""

from __future__ import annotations

import html
import re
from functools import partial
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.data.frame import ColumnsConfig, StepResult, change_columns, check_columns
from tunewright.data.protected import FENCE, INLINE

_BLOCK_NAMES = (
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 head header hr html li main nav ol p section summary table tbody tfoot thead title tr ul br"
)
_INLINE_NAMES = (
    "abbr acronym audio bdi bdo big button canvas caption cite col colgroup data datalist del dfn em embed font iframe "
    "img input ins kbd label legend link map mark meta meter noscript object optgroup option output param picture "
    "progress ruby rp rt samp select small source span strike strong sub sup svg td template textarea th time track tt "
    "var video wbr o:p code pre a b i q s u"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
# Single letters are also type parameters (`Vec<u>`): an opening one counts if it has attributes or is closed later.
_SHORT = frozenset("abiqsu")
_ATTRIBUTES = r"""(?P<attributes>\s(?:[^"'<>]|"[^"<]*"|'[^'<]*')*)?"""
_NAMES = "|".join(sorted((*_BLOCKS, *_INLINE_NAMES.split()), key=len, reverse=True))

_CODE = rf"(?P<code>{FENCE}|{INLINE})"
_GONE = (
    r"<!--(?:(?!-->|<!--)[\s\S])*-->|<!(?i:doctype)\b[^<>]*>|<\?xml\b[^<>]*>"
    r"|<(?i:script|style)\b[^<>]*>(?:(?!</?(?i:script|style)\b)[\s\S])*</(?i:script|style)\s*>"
)
_PRE = r"<(?i:pre)\b[^<>]*>(?P<pre>(?:(?!</?(?i:pre)\b)[\s\S])*)</(?i:pre)\s*>"
_INLINE_CODE = r"<(?i:code)\b[^<>]*>(?P<inline>(?:(?!</?(?i:code)\b)[^\n`])*)</(?i:code)\s*>"
_TAG = rf"<(?P<close>/?)(?P<name>(?i:{_NAMES})){_ATTRIBUTES}/?>"
_MARKUP = re.compile("|".join((_CODE, _PRE, _INLINE_CODE, _GONE, _TAG)))
_ONE_TAG = re.compile(_TAG)

_ENTITY = re.compile(rf"{_CODE}|&(?:#\d{{1,8}}|#[xX][\da-fA-F]{{1,7}}|[A-Za-z][A-Za-z\d]{{1,31}});")
# Without those that write markup itself: decoding them could make a tag of what was a quoted one.
_HARMLESS_ENTITY = re.compile(
    rf"{_CODE}|&(?!(?i:lt|gt|amp|#0*(?:38|60|62)|#x0*(?:26|3c|3e));)"
    r"(?:#\d{1,8}|#[xX][\da-fA-F]{1,7}|[A-Za-z][A-Za-z\d]{1,31});"
)

_MARKS = re.compile(r"[*_#~\]]|-[ \t]*-")
# Images before links, bold before italics; one word between two underscores and two may be Python's (`__init__`). Each
# leaves fewer characters, so that repeating them ends.
_ADDRESS = r"\([^()\s]*(?:[ \t]\"[^\"\n]*\")?\)"
_MARKDOWN = tuple(
    re.compile(f"{_CODE}|{pattern}")
    for pattern in (
        rf"!\[(?P<kept>[^\[\]\n]*)\]{_ADDRESS}",
        rf"\[(?P<kept>[^\[\]\n]+)\]{_ADDRESS}",
        r"(?m:^) {0,3}#{1,6}[ \t]+(?=\S)",
        r"(?m:^) {0,3}(?:\*(?:[ \t]*\*){2,}|_(?:[ \t]*_){2,}|-(?:[ \t]*-){2,})[ \t]*(?:\n|\Z)",
        r"(?<![\w*\\])\*\*\*(?=[^\s*])(?P<kept>(?:`[^`\n]+`|[^*`\n])+)(?<=[^\s*])\*\*\*(?![\w*])",
        r"(?<![\w*\\])\*\*(?=[^\s*])(?P<kept>(?:`[^`\n]+`|[^*`\n])+)(?<=[^\s*])\*\*(?![\w*])",
        r"(?<![\w_\\])__(?!\w+__)(?=[^\s_])(?P<kept>(?:`[^`\n]+`|[^_`\n])+)(?<=[^\s_])__(?![\w_])",
        r"(?<![\w*\\])\*(?=[^\s*])(?P<kept>(?:`[^`\n]+`|[^*`\n])+)(?<=[^\s*])\*(?![\w*])",
        r"(?<![\w_\\])_(?=[^\s_])(?P<kept>(?:`[^`\n]+`|[^_`\n])+)(?<=[^\s_])_(?![\w_])",
        r"~~(?=[^\s~])(?P<kept>(?:`[^`\n]+`|[^~`\n])+)(?<=[^\s~])~~",
    )
)


class Config(ColumnsConfig):
    """Settings of `markup`."""

    name: Literal["markup"] = "markup"
    html: bool = Field(True, description="Take out HTML tags, comments, scripts and styles, and decode entities.")
    markdown: bool = Field(
        False, description="Take out headings' marks, emphasis, rules, and the addresses of links; lists and code stay."
    )


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Text without markup; code blocks, and code between backticks, keep every byte."""
    check_columns(frame, config.columns, config.name)
    frame, log = change_columns(frame, config.columns, partial(plain, config=config), "markup removed")
    return StepResult(frame, log, {"cells_changed": log.height})


def plain(text: str, config: Config) -> str:
    """A text without markup. What comes out has none left, so that a second time changes nothing."""
    before = None
    while text != before:
        before = text
        if config.html and ("<" in text or "&" in text):
            text = without_html(text)
        if config.markdown and _MARKS.search(text):
            text = without_markdown(text)
    return text


def without_html(text: str) -> str:
    """The text without tags, entities decoded.

    Entities are decoded only as far as that makes no markup: `&lt;b&gt;` was written by someone who shows a tag.
    """
    bare = _strip(text)
    decoded = _decode(_ENTITY, bare)
    if _strip(decoded) == decoded == _decode(_ENTITY, decoded):
        return decoded
    careful = _decode(_HARMLESS_ENTITY, bare)
    # Only if a second time would come to the same place; else the entities stay as they are.
    settled = _strip(careful) == careful == _decode(_HARMLESS_ENTITY, careful)
    return careful if settled and _decode(_ENTITY, careful) == decoded else bare


def without_markdown(text: str) -> str:
    """The text without Markdown's marks; code, lists and quotes stay."""
    before = None
    while text != before:
        before = text
        for pattern in _MARKDOWN:
            text = pattern.sub(_kept, text)
    return text


def _kept(match: re.Match[str]) -> str:
    return match[0] if match["code"] is not None else match.groupdict().get("kept") or ""


def _decode(entity: re.Pattern[str], text: str) -> str:
    return entity.sub(lambda match: match[0] if match["code"] is not None else html.unescape(match[0]), text)


def _strip(text: str) -> str:
    """Tags out, again and again: what is left of two may be a third."""
    before = None
    while text != before:
        before = text
        closed = {match["name"].lower() for match in _ONE_TAG.finditer(text) if match["close"]} & _SHORT
        text = _MARKUP.sub(partial(_without, closed), text)
    return text


def _without(closed: set[str], match: re.Match[str]) -> str:
    """What stands in the place of a piece of markup."""
    if match["code"] is not None:
        return match[0]
    if match["pre"] is not None:
        inside = html.unescape(_ONE_TAG.sub("", match["pre"])).strip("\n")
        return f"\n```\n{inside}\n```\n" if "```" not in inside else inside
    if match["inline"] is not None:
        inside = html.unescape(_ONE_TAG.sub("", match["inline"]))
        return f"`{inside}`" if inside.strip() and "`" not in inside and "\n" not in inside else inside
    return "" if match["name"] is None else _without_tag(closed, match)


def _without_tag(closed: set[str], match: re.Match[str]) -> str:
    name, is_end = match["name"].lower(), bool(match["close"])
    if name in _SHORT and not is_end and not match["attributes"] and name not in closed:
        return match[0]
    if name in ("td", "th"):
        return " " if is_end else ""
    if name in ("br", "hr"):
        return "\n"
    # One line break behind a block is enough, and none is needed at the end.
    at_end = match.string[match.end() : match.end() + 1] in ("", "\n")
    return "\n" if name in _BLOCKS and is_end and not at_end else ""
