"""Numbers, units and dates that are the same however they are written, and those that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.evaluate.conduct.quantities import figures, unsupported


def missing(answer: str, source: str) -> list[str]:
    return unsupported(figures(answer), figures(source), source)


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("1,000 rows", "1000 rows"),
        ("1.000 rows", "1 000 rows"),
        ("5000 metres", "5 km"),
        ("3.1 miles", "5 km"),
        ("68 °F", "20 °C"),
        ("1.5 million", "1,500,000 people"),
        ("3 lamps", "three lamps"),
        ("a 12 % share", "12 percent"),
        ("$20", "20 dollars"),
        ("3.14", "3.14159"),
        ("on 3 March 2024", "2024-03-03"),
        ("March 3rd", "3 March 2024"),
        ("04/03/2024", "4 March 2024"),
        ("04/03/2024", "April 3, 2024"),
        ("order A1042", "the order a1042"),
        ("1. Open it\n2. Close it", "Nothing is counted here."),
        ("", "whatever 12"),
    ],
)
def test_the_same_in_other_words(answer: str, source: str) -> None:
    assert missing(answer, source) == []


@pytest.mark.parametrize(
    ("answer", "source", "expected"),
    [
        ("5 kg", "5 km", ["5 kg"]),
        ("$20", "20 euros", ["$20"]),
        ("3", "3.14159", ["3"]),
        ("1,001 rows", "1000 rows", ["1,001 rows"[:5]]),
        ("3 March 2023", "3 March 2024", ["3 March 2023"]),
        ("4 March", "3 March 2024", ["4 March"]),
        ("order A1043", "order A1042", ["A1043"]),
        ("6 km", "5 km", ["6 km"]),
        ("-5 °C", "5 °C", ["-5 °C"]),
        ("12 and 13", "12", ["13"]),
    ],
)
def test_what_the_source_does_not_hold(answer: str, source: str, expected: list[str]) -> None:
    assert missing(answer, source) == expected


@given(st.text(max_size=80))
def test_a_text_holds_its_own_figures(text: str) -> None:
    assert missing(text, text) == []


@given(st.integers(0, 10**9))
def test_thousands_may_be_set_apart(number: int) -> None:
    assert missing(f"{number:,}", f"about {number} of them") == []
    assert missing(f"{number + 1:,} of them", f"about {number} of them") != []
