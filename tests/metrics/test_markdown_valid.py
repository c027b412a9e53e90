"""Markdown validity."""

from __future__ import annotations

import pytest

from tests.metrics.contract import value
from tunewright.metrics import Answer

TABLE = "| a | b |\n|---|---|\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("Plain words.", True),
        ("# Title\n\n## Part\n\n- *one*\n- **two**, `a ** b`", True),
        ("```py\nx = 1\n```", True),
        ("> ~~~~\n> x\n> ~~~~", True),
        ("```py\nx = 1", False),
        ("```", False),
        ("````\nx\n```", False),
        (TABLE, True),
        (TABLE + " 3 |", False),
        ("a | b\n--|--\n1 | `x\\|y`", True),
        ("a | b\n--|--\n1 | `x|y`", False),
        ("| a \\| b | c |\n|---|---|\n| 1 | 2 |", True),
        ("| a | b |\n|---|\n| 1 | 2 |", True),  # a delimiter of one cell is no table, and shown as written
        ("| a |\n|---|---|\n| 1 | 2 |", False),
        ("# A\n\n### B", False),
        ("### A\n\n# B", True),
        ("# \n", False),
        ("a **bold word", False),
        ("2 ** 3 is 8", True),
        ("[text](https://x.org)", True),
        ("see [text](https://x.org", False),
        ("  \n", False),
        ("", False),
    ],
)
def test_what_is_in_order(text: str, valid: bool) -> None:
    assert value("markdown_valid", [Answer("1", "", text)]) == float(valid), text


def test_only_the_checks_that_are_asked_for() -> None:
    assert value("markdown_valid", [Answer("1", "", "# A\n\n### B\n\n```")], checks=["tables"]) == 1
