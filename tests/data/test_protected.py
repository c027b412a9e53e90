"""What no step may rewrite, and what it may."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.protected import WORD, matches, outside, substitute

WORDS = outside(WORD, names=True)
PROSE = outside(WORD)


def _free(text: str) -> list[str]:
    return [match["free"] for match in matches(WORDS, text)]


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example/a-b?c=d#e",
        "www.shop.example/path",
        "bob.smith+x@mail.example.com",
        "`some code here`",
        "```\ncode block\nof lines\n```",
        "<code>a word</code>",
        '<img alt="a word">',
        "<|im_start|>",
        "{{first name}}",
        "{name}",
        "${HOME}",
        "%(count)s",
        "[EMAIL]",
        "/usr/local/bin",
        "src/main.py",
        "C:\\Users\\Ann",
        "@handle",
        "#topic",
        "--dry-run",
        "snake_case_name",
        "module.function()",
        "std::vector",
        "camelCase",
        "iPhone",
        "A1042",
        "5kg",
        "2024-03-05",
        "3.5",
    ],
)
def test_protected(text: str) -> None:
    assert _free(f"so {text} and") == ["so", "and"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's Ann’s, isn't it?", ["It's", "Ann’s", "isn't", "it"]),
        ("Straße, café: naïve", ["Straße", "café", "naïve"]),
        ("well-known (or not)", ["well", "known", "or", "not"]),
        ("a `b` c", ["a", "c"]),
        ("3 < 4 and 5 > 2", ["and"]),
        ("one ` two", ["one", "two"]),
        ("done.", ["done"]),
    ],
)
def test_free(text: str, words: list[str]) -> None:
    assert _free(text) == words


def test_a_block_that_is_never_closed_goes_on_to_the_end() -> None:
    assert _free("so ```never closed\nand more") == ["so"]


def test_names_are_prose_where_asked() -> None:
    found = [match["free"] for match in matches(PROSE, "the iPhone of x@y.example")]
    assert found == ["the", "iPhone", "of"]


@given(st.text("ab `/.@<>{}[]_#-1:~\n", max_size=40))
def test_only_what_is_free_changes(text: str) -> None:
    kept = [match[0] for match in WORDS.finditer(text) if match["free"] is None]
    changed = substitute(WORDS, lambda match: "W" * len(match[0]), text)
    assert len(changed) == len(text)
    assert substitute(WORDS, lambda match: match[0], text) == text
    assert all(stretch in changed for stretch in kept)


@pytest.mark.parametrize(
    "bit", ["```", "`", "<code>", "<a", "a.", "a-", "x@", "{{", "a/", "_", "http://", "aB", "1-", "["]
)
def test_long_texts_take_no_time(bit: str) -> None:
    start = time.perf_counter()
    _free(bit * 20_000)
    assert time.perf_counter() - start < 5
