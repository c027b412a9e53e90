"""One stand-in for all spellings of one person or number, and none for two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.personal.keys import Key
from tunewright.data.personal.pseudonyms import PSEUDONYM, WORDS, identity, pseudonym, without_pseudonyms
from tunewright.data.steps.redact import FINDERS

KEY = Key(bytes(range(32)))


def test_every_kind_has_a_word() -> None:
    assert set(WORDS) == set(FINDERS)
    assert len(set(WORDS.values())) == len(WORDS)


@pytest.mark.parametrize(
    ("kind", "one", "other", "region"),
    [
        ("name", "Anna  Kowalska", "ANNA KOWALSKA", None),
        ("email", "Bob@Mail.example", "bob@mail.example", None),
        ("iban", "DE89 3704 0044 0532 0130 00", "de89370400440532013000", None),
        ("card", "4111 1111 1111 1111", "4111-1111-1111-1111", None),
        ("phone", "+44 20 7946 0958", "020 7946 0958", "GB"),
        ("phone", "+1 (202) 555-0123", "+12025550123", None),
    ],
)
def test_spellings_of_one(kind: str, one: str, other: str, region: str | None) -> None:
    assert identity(kind, one, region) == identity(kind, other, region)


def test_two_are_two() -> None:
    names = {pseudonym("name", f"person {number}", KEY) for number in range(20_000)}
    assert len(names) == 20_000
    assert pseudonym("name", "a", KEY) != pseudonym("name", "a", Key(bytes(range(1, 33))))
    assert pseudonym("name", "a", KEY)[7:] != pseudonym("email", "a", KEY)[5:]


@given(st.sampled_from(sorted(WORDS)), st.text(max_size=20))
def test_a_stand_in_is_told_from_other_words(kind: str, who: str) -> None:
    made = pseudonym(kind, who, KEY)
    assert PSEUDONYM.fullmatch(made)
    text = f"call {made}'s friend"
    end = 5 + len(made)
    assert without_pseudonyms(text, [(0, 4), (3, 7), (end - 1, end + 2), (end, end + 2)]) == [(0, 4), (end, end + 2)]
