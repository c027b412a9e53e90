"""White space folded, line breaks kept or not."""

from __future__ import annotations

from tunewright.data.steps.whitespace import tidy


def test_lines_are_kept_with_one_empty_line_at_most() -> None:
    assert tidy("  a\t b\u00a0c \r\n\r\n\r\n d\u2028e ", keep_lines=True) == "a b c\n\nd\ne"


def test_lines_are_folded() -> None:
    assert tidy(" a\n\n b\tc ", keep_lines=False) == "a b c"
