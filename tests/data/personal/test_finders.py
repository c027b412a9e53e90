"""Each kind of personal data is found by its form and its rule, and what only looks like it is left alone.

The numbers are the published examples of their issuers, or computed by hand from their rules.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.personal.birth import birth_dates
from tunewright.data.personal.network import ips, macs
from tunewright.data.personal.numbers import cards, iban, ibans, luhn, national_ids
from tunewright.data.personal.secrets import secrets
from tunewright.data.personal.spans import Finder
from tunewright.data.steps.redact import FINDERS, redact


def found(find: Finder, text: str) -> list[str]:
    return [text[start:end] for start, end in find(text, None)]


@pytest.mark.parametrize(
    ("find", "text", "places"),
    [
        (cards, "paid with 4111 1111 1111 1111, thanks", ["4111 1111 1111 1111"]),
        (cards, "5555-5555-5555-4444 or 378282246310005.", ["5555-5555-5555-4444", "378282246310005"]),
        (ibans, "GB82 WEST 1234 5698 7654 32 please", ["GB82 WEST 1234 5698 7654 32"]),
        (ibans, "DE89370400440532013000 and de89 3704 0044 0532 0130 00 by Monday",
         ["DE89370400440532013000", "de89 3704 0044 0532 0130 00"]),
        (national_ids, "SSN 123-45-6789; AB 12 34 56 C; ab", ["123-45-6789", "AB 12 34 56 C"]),
        (national_ids, "my SSN is 123456789", ["123456789"]),
        (national_ids, "12345678Z y X1234567L", ["12345678Z", "X1234567L"]),
        (national_ids, "RSSMRA85T10A562S", ["RSSMRA85T10A562S"]),
        (national_ids, "no 2 55 08 14 168 025 38", ["2 55 08 14 168 025 38"]),
        (national_ids, "CPF 529.982.247-25", ["529.982.247-25"]),
        (ips, "from 192.168.0.14, port 80", ["192.168.0.14"]),
        (ips, "host 2001:db8::ff00:42:8329 and ::1", ["2001:db8::ff00:42:8329", "::1"]),
        (macs, "00:1A:2b:3c:4D:5e or 00-1A-2B-3C-4D-5E", ["00:1A:2b:3c:4D:5e", "00-1A-2B-3C-4D-5E"]),
        (secrets, "key sk-proj-abcdefghijklmnopqrstuvwx", ["sk-proj-abcdefghijklmnopqrstuvwx"]),
        (secrets, "AKIAIOSFODNN7EXAMPLE and ghp_" + "a1" * 18, ["AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18]),
        (secrets, "password: hunter2! and more", ["hunter2!"]),
        (secrets, "Authorization: Bearer abcdef0123456789abcdef", ["abcdef0123456789abcdef"]),
        (secrets, "https://me:s3cret@host.example/x", ["s3cret"]),
        (secrets, "see https://a.example/reset?user=7&token=9f8e7d6c&lang=en", ["9f8e7d6c"]),
        (secrets, "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
         ["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"]),
        (birth_dates, "born on 3 May 1980, DOB: 03/05/1980", ["3 May 1980", "03/05/1980"]),
        (birth_dates, "Geburtsdatum 03.05.1980; born the 3rd of May 1980", ["03.05.1980", "3rd of May 1980"]),
    ],
)  # fmt: skip
def test_found(find: Finder, text: str, places: list[str]) -> None:
    assert found(find, text) == places


@pytest.mark.parametrize(
    ("find", "text"),
    [
        (cards, "4111 1111 1111 1112"),  # its last digit does not check
        (cards, "0000 0000 0000 0000 and 12345678901234567890"),
        (cards, "order 4111111111111111-7"),
        (ibans, "DE89 3704 0044 0532 0130 01"),
        (ibans, "AB12 cannot be reached at all today"),
        (national_ids, "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000"),
        (national_ids, "12345678A"),
        (national_ids, "RSSMRA85T10A562T and 529.982.247-24 and 111.111.111-11"),
        (national_ids, "order 123456789"),
        (ips, "version 1.2.3.4, v10.0.0.1, 1.2.3.4.5, 256.1.1.1, 12:30:45"),
        (ips, "a::b c :: d"),
        (macs, "00:1A:2b:3c:4D"),
        (secrets, "the password is required; my password is incorrect"),
        (secrets, "https://a.example/?page=2&code=ab"),
        (secrets, "task-force, risk-averse"),
        (birth_dates, "ordered on 3 May 1980; born in 1980; due 03/05/1980"),
    ],
)
def test_left_alone(find: Finder, text: str) -> None:
    assert found(find, text) == []


def test_check_digits_by_hand() -> None:
    # 79927398713: 3 + (1*2) + 7 + (8*2 -> 7) + 9 + (3*2) + 7 + (2*2) + 9 + (9*2 -> 9) + 7 = 70.
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert iban("GB82WEST12345698765432")
    assert not iban("GB83WEST12345698765432")


@given(st.text(alphabet="0123456789 -.:@/abAB=?&[]SECRT+", max_size=60))
@settings(deadline=None, max_examples=60)
def test_spans_are_ordered_and_a_second_look_finds_nothing(text: str) -> None:
    for kind, find in FINDERS.items():
        spans = find(text, None)
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        once, _ = redact(text, find, f"[{kind.upper()}]")
        assert redact(once, find, f"[{kind.upper()}]") == (once, 0)
