"""Addresses and telephone numbers go; order numbers and dates stay."""

from __future__ import annotations

import pytest

from tests.data.steps.frames import frame_of
from tunewright.data.steps.redact import Config, apply


def _redacted(text: str, region: str | None) -> str | None:
    found: str | None = apply(frame_of(t=[text]), Config(columns=("t",), region=region)).frame["t"][0]
    return found


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("Mail bob.o'brien+x@mail.example.co.uk.", None, "Mail [EMAIL]."),
        ("<jürgen@bücher.example>", None, "<[EMAIL]>"),
        ("+1 202 555 0123 or +44 7700 900123", None, "[PHONE] or [PHONE]"),
        ("(202) 555-0123", "US", "[PHONE]"),
        ("call 2025550123 now", "US", "call [PHONE] now"),
        ("Tel. 030 1234567", "DE", "Tel. [PHONE]"),
        ("07911 123456", "GB", "[PHONE]"),
    ],
)
def test_found(text: str, region: str | None, expected: str) -> None:
    assert _redacted(text, region) == expected


@pytest.mark.parametrize("region", [None, "US", "GB", "DE"])
@pytest.mark.parametrize(
    "text",
    [
        "order 2025550123",
        "order no. 202-555-0123",
        "ORD-2025550123",
        "#2025550123",
        "it is 2025550123",
        "A-10293847 and 1Z 999 AA1 01 2345 6784",
        "on 2024-03-05 at 10:30, or 05.03.2024 12:30, or 12/03/2024",
        "invoice 12345678",
        "user@localhost, @handle, a @ b",
    ],
)
def test_left_alone(text: str, region: str | None) -> None:
    assert _redacted(text, region) == text


def test_counts() -> None:
    kinds = ("email", "phone")
    result = apply(
        frame_of(t=["a@b.example c@d.example", None, "+1 202 555 0123"]), Config(columns=("t",), kinds=kinds)
    )
    assert result.findings == {"emails": 2, "phones": 1, "cells_changed": 2}
    assert set(result.edits["reason"]) == {"email, phone redacted"}


def test_all_kinds_by_default() -> None:
    text = (
        "DOB 03/05/1980, SSN 123-45-6789, card 4111 1111 1111 1111, from 10.0.0.7 (00:1A:2B:3C:4D:5E), "
        "password: hunter2!"
    )
    expected = "DOB [BIRTH_DATE], SSN [NATIONAL_ID], card [CARD], from [IP] ([MAC]), password: [SECRET]"
    assert _redacted(text, None) == expected


def test_only_what_is_asked_for() -> None:
    result = apply(frame_of(t=["a@b.example from 10.0.0.7"]), Config(columns=("t",), kinds=("ip",)))
    assert result.frame["t"].to_list() == ["a@b.example from [IP]"]
