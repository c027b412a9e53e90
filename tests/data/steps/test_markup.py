"""Tags and entities go, code and what only looks like a tag stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.data.steps.frames import frame_of
from tunewright.data.steps.markup import Config, apply, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Dear <b>Ann</b>,</p><p>thanks&nbsp;&amp; bye</p>", "Dear Ann,\nthanks\xa0& bye"),
        ("one<br>two<br/>three<BR />four", "one\ntwo\nthree\nfour"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb\n"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b \n"),
        ("<a href=\"https://x.example/?a=1&amp;b=2\" title='a > b'>link</a>", "link"),
        ("a<!-- hidden\n-->b<script>if (a < b) {}</script>c<style>p {}</style>", "abc"),
        ("&#8364;5, caf&eacute;, AT&T, R&D;", "€5, café, AT&T, R&D;"),
        ("&lt;hr&gt; draws a line &mdash; always", "&lt;hr&gt; draws a line — always"),
        ("a &lt; b", "a < b"),
        ("<pre><code>if (a &lt; b)\n  <b>x</b></code></pre>", "\n```\nif (a < b)\n  x\n```\n"),
        ("call <code>a&amp;b</code> now", "call `a&b` now"),
        ("```html\n<b>&amp;</b>\n``` and `<i>` and <i>this</i>", "```html\n<b>&amp;</b>\n``` and `<i>` and this"),
    ],
)
def test_html(text: str, expected: str) -> None:
    assert plain(text, Config()) == expected


@pytest.mark.parametrize(
    "text", ["a < b > c", "List<String>", "<name> <EMAIL>", "<|im_end|>", "Vec<u> of T", "x <3 y", "1 <b", "a & b &c;"]
)
def test_what_is_no_markup_stays(text: str) -> None:
    assert plain(text, Config()) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nSome **bold**, *slanted* and ~~old~~ text", "Title\n\nSome bold, slanted and old text"),
        ("see [the page](https://x.example) and ![a picture](y.png)", "see the page and a picture"),
        ("a\n---\nb", "a\nb"),
        ("- item\n1. first\n> said", "- item\n1. first\n> said"),
        ("2 * 3 * 4 and snake_case_name and __init__(x)", "2 * 3 * 4 and snake_case_name and __init__(x)"),
        ("`**code**` **use `*x*` here**", "`**code**` use `*x*` here"),
        ("***both***", "both"),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    assert plain(text, Config(markdown=True)) == expected


_BITS = [
    "<b>", "</b>", "<", ">", "&lt;", "&amp;", "lt;", "&#60;", "&", "b", "/", "p", "<p", "`", "```", "*", "**", "_", "#",
    "<pre>", "</pre>", "<code>", "</code>", "<!--", "-->", "\n", " ", "x", "[", "](", ")", "&#98;", "~~",
]  # fmt: skip


@given(st.lists(st.sampled_from(_BITS), max_size=14).map("".join), st.booleans())
@example("<&#98;>", False)
@example("<<b>b>", False)
@settings(deadline=None, max_examples=300)
def test_nothing_is_left_for_a_second_time(text: str, markdown: bool) -> None:
    once = plain(text, Config(markdown=markdown))
    assert plain(once, Config(markdown=markdown)) == once


@given(st.text("ab&<>;", max_size=12))
def test_code_keeps_every_byte(code: str) -> None:
    assert plain(f"<b>x</b> `{code}c` y", Config(markdown=True)) == f"x `{code}c` y"


@pytest.mark.parametrize("opening", ["<!--", "<script>", "<pre>", "<code>", "<b ", "<a title='", "```", "**a", "&amp"])
def test_openings_that_nothing_closes_take_no_time(opening: str) -> None:
    start = time.perf_counter()
    plain(opening * 5000, Config(markdown=True))
    assert time.perf_counter() - start < 5


def test_the_log_has_what_changed() -> None:
    result = apply(frame_of(t=["<b>a</b>", "a", None]), Config(columns=("t",)))
    assert result.frame["t"].to_list() == ["a", "a", None]
    assert result.edits.select("row_id", "before", "after", "reason").rows() == [
        ("r1", "<b>a</b>", "a", "markup removed")
    ]
