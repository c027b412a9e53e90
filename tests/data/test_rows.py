"""Paths into nested rows, and values as text."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from tunewright.base.errors import DataError
from tunewright.data.rows import as_text, parse_path, pick

ROW = {
    "a.b": "the column itself",
    "a": {"b": "nested", "tags": ["x", "y"]},
    "messages": [{"content": "first"}, {"content": "last"}],
    "Sum [EUR]": 3,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", "the column itself"),
        ("a.tags[0]", "x"),
        ("a.tags[-1]", "y"),
        ("a.tags[2]", None),
        ("messages[-1].content", "last"),
        ("a.missing.deeper", None),
        ("Sum [EUR]", 3),
        ("a[0]", None),
    ],
)
def test_pick(path: str, value: Any) -> None:
    assert pick(ROW, path, parse_path(path)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("x", "x"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        (float("nan"), None),
        (Decimal("1.20"), "1.20"),
        (datetime.date(2024, 3, 5), "2024-03-05"),
        (["ä", {"b": None}], '["ä",{"b":null}]'),
        (datetime.timedelta(seconds=1), "0:00:01"),
    ],
)
def test_as_text(value: Any, text: str | None) -> None:
    assert as_text(value) == text


def test_raw_bytes_are_refused() -> None:
    with pytest.raises(DataError, match="raw bytes"):
        as_text(b"\x00")
