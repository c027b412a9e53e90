from __future__ import annotations

import pytest

from tests.metrics.contract import measure
from tunewright.base.errors import DataError
from tunewright.metrics import Answer
from tunewright.models.tool_calls import ToolCall, write_answer

PARIS, OSLO = ToolCall("weather", {"city": "Paris", "days": 1}), ToolCall("weather", {"city": "Oslo"})
OTHER = ToolCall("time", {"city": "Oslo"})


@pytest.mark.parametrize(
    ("wanted", "given", "right"),
    [
        ([PARIS], write_answer("Let me look.", [ToolCall("weather", {"days": 1.0, "city": "Paris"})]), (1, 1, 1)),
        ([PARIS, OSLO], write_answer("", [OSLO, PARIS]), (1, 1, 1)),  # parallel calls have no order
        ([PARIS], write_answer("", [OSLO]), (0, 1, 0)),
        ([OSLO], write_answer("", [OTHER]), (0, 0, 1)),
        ([PARIS], write_answer("", [PARIS, PARIS]), (0, 0, 0)),  # once too often
        ([PARIS], "It is warm.", (0, 0, 0)),
        ([PARIS], "<tool_call>weather(", (0, 0, 0)),
        ([], "It is warm.", (1, 1, 1)),
        ([], write_answer("", [PARIS]), (0, 0, 0)),
    ],
)
def test_calls_by_hand(wanted: list[ToolCall], given: str, right: tuple[int, int, int]) -> None:
    found = measure("tool_call", [Answer("a", write_answer("" if wanted else "It is 20.", wanted), given)])
    assert list(found) == ["tool_call", "tool_call_name", "tool_call_arguments"]
    assert tuple(each.value for each in found.values()) == right


def test_a_broken_reference_is_named() -> None:
    with pytest.raises(DataError, match="cannot be read: row-7"):
        measure("tool_call", [Answer("row-7", "<tool_call>?", "x")])
