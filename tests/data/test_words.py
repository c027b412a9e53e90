"""Texts taken apart: nothing is lost, and what must stay is found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.words import Words, like

TEXT = st.text(alphabet="abAB 1é-_.,@{}()\n'’/", max_size=60)


@given(TEXT, st.lists(st.sampled_from(["a b", "ab", "é", "A", "."]), max_size=2))
@settings(deadline=None)
def test_the_parts_are_the_text(text: str, phrases: list[str]) -> None:
    words = Words.read(text, phrases)
    assert words.text == text
    assert len(words.parts) == 2 * len(words.free) + 1 == 2 * len(words.joined) + 1
    assert words.keeps(text)
    assert not any(joined and free for joined, free in zip(words.joined, words.free, strict=True))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Pay 25 EUR at Tesco today", ["EUR", "Tesco", "25"]),
        ("mail anna@x.org or see https://x.org/a?b", ["anna@x.org", "https://x.org/a?b"]),
        ("set order_id and run --force on A1042", ["order_id", "--force", "A1042"]),
        ("dear {{name}}, it is [NAME_1]", ["{{name}}", "[NAME_1]"]),
        ("it is not here. Why? Where", ["not"]),
        ("I won't pay", ["won't"]),
        ("the GLOSSARY  term is kept", ["GLOSSARY  term"]),
        ("plain words only", []),
    ],
)
def test_what_must_stay_is_found(text: str, kept: list[str]) -> None:
    words = Words.read(text, ["glossary term"])
    assert set(kept) <= set(words.kept)
    protected = {word for word, free in zip(words.words, words.free, strict=True) if not free}
    assert protected <= {piece for each in words.kept for piece in Words.read(each).words}
    if not kept:
        assert all(words.free)


def test_a_capital_at_the_start_of_a_sentence_makes_no_name() -> None:
    words = Words.read("Please help. My card met Anna")
    assert [word for word, free in zip(words.words, words.free, strict=True) if not free] == ["Anna"]


def test_a_variant_that_lost_something_is_seen() -> None:
    words = Words.read("pay 25 to Anna and 25 to Bob")
    assert words.keeps("to Bob 25, to Anna 25")
    assert not words.keeps("pay 25 to Anna and to Bob")
    assert not words.keeps("pay 25 to anna and 25 to Bob")


def test_the_second_word_of_a_name_is_joined_to_the_first() -> None:
    words = Words.read("see new york now", ["New York"])
    assert words.joined == (False, False, True, False)
    assert words.free == (True, False, False, True)


def test_spans_are_kept_as_given() -> None:
    words = Words.read("Ticket: it broke", (), [(0, 8)])
    assert words.free == (False, True, True)
    assert words.kept == ("Ticket: ",)


def test_capitals_follow_the_model() -> None:
    assert [like("cash", model) for model in ("money", "Money", "MONEY", "I")] == ["cash", "Cash", "CASH", "Cash"]
