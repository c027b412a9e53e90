"""Stretches of a text that no cleaning step may rewrite: code, addresses, placeholders, identifiers.

There are two degrees. What `CODE` finds is never prose. What `NAMES` finds stands in prose, but is spelt as somebody
decided (`order_id`, `A1042`, `iPhone`, `--force`), so that correcting it would be wrong.

Every pattern is linear in the length of the text: openings that nothing closes end at the next opening or at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

FENCE = r"```[\s\S]*?(?:```|\Z)|~~~[\s\S]*?(?:~~~|\Z)"
INLINE = r"`[^`\n]+`"
_ELEMENT = r"<(?i:code|pre)\b[^<>]*>(?:(?!</?(?i:code|pre)\b)[\s\S])*</(?i:code|pre)>"
_TAG = r"</?[A-Za-z][^<>\n]{0,500}>|<\|\w{1,40}\|>"
_URL = r"""\b[a-zA-Z][a-zA-Z0-9+.-]{1,19}://[^\s<>"'`]+|(?<!\w)www\.[^\s<>"'`]+"""
_EMAIL = r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
_PLACEHOLDER = (
    r"\{\{[^{}\n]{1,200}\}\}|\{%[^{}\n]{1,200}%\}"
    r"|\$?\{[A-Za-z_][\w.]{0,60}\}|%\(\w{1,60}\)[a-z]|\[[A-Z][A-Z_\d]{1,30}\]"
)
_PATH = r"(?<![\w/.-])[\w.~-]*(?:/[\w.-]+)+/?|\b[A-Za-z]:\\[^\s<>\"']+"

_HANDLE = r"(?<!\w)[@#$]\w+|(?<![\w-])--?[A-Za-z][\w-]*"
_UNDERSCORE = r"(?<!\w)\w*_\w*"
_DOTTED = r"(?<!\w)[^\W\d_]\w*(?:(?:\.|::)[^\W\d_]\w*)+(?:\(\))?"
_CAMEL = r"(?<!\w)[^\W\d_]*[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]\w*"
_WITH_DIGITS = r"(?<!\w)(?=\w*\d)\w+(?:[-.,:/]\w+)*"

CODE = "|".join((FENCE, INLINE, _ELEMENT, _URL, _EMAIL, _TAG, _PLACEHOLDER, _PATH))
NAMES = "|".join((_HANDLE, _UNDERSCORE, _DOTTED, _CAMEL, _WITH_DIGITS))
WORD = r"[^\W\d_]+(?:['’][^\W\d_]+)*"


def outside(pattern: str, *, names: bool = False) -> re.Pattern[str]:
    """A pattern that reads protected stretches over, for `substitute` and `matches`.

    Args:
        pattern: What to look for elsewhere; it may have named groups, but no numbered ones.
        names: Whether identifiers are protected too, and not only code, addresses and placeholders.
    """
    kept = f"{CODE}|{NAMES}" if names else CODE
    return re.compile(f"(?:{kept})|(?P<free>{pattern})")


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of a pattern of `outside` that lie outside of protected stretches."""
    return (match for match in pattern.finditer(text) if match["free"] is not None)


def substitute(pattern: re.Pattern[str], change: Callable[[re.Match[str]], str], text: str) -> str:
    """The text with what a pattern of `outside` found replaced; protected stretches keep every byte."""
    return pattern.sub(lambda match: match[0] if match["free"] is None else change(match), text)
