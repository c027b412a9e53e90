"""Equal texts: one row stays; conflicting answers go, or are decided."""

from __future__ import annotations

import pytest

from tests.data.steps.frames import frame_of
from tunewright.data.clean import clean_frame
from tunewright.data.frame import ROLES, ROW_ID
from tunewright.data.steps.exact_duplicates import Config

FRAME = frame_of(
    text=["Hi  there", "hi THERE", "Other", "ｏther", "other", None, " ", "Straße", "STRASSE"],
    label=["a", "A", "x", "y", "x", "a", "b", "s", "s"],
)


@pytest.mark.parametrize(
    ("conflicts", "kept", "unusable"),
    [
        ("drop", ["r1", "r6", "r7", "r8"], {"r3", "r4", "r5"}),
        ("keep_first", ["r1", "r3", "r6", "r7", "r8"], {"r4", "r5"}),
        ("keep", ["r1", "r3", "r4", "r6", "r7", "r8"], set()),
    ],
)
def test_conflicts(conflicts: str, kept: list[str], unusable: set[str]) -> None:
    config = Config.model_validate({"conflicts": conflicts}).bind(["text"], ["label"])
    result = clean_frame(FRAME, config)
    assert result.frame[ROW_ID].to_list() == kept
    assert result.unusable == unusable
    assert (result.findings["conflicting_texts"], result.findings["conflicting_rows"]) == (1, 3)


def test_reasons_name_the_row_that_stays() -> None:
    edits = clean_frame(FRAME, Config().bind(["text"], ["label"])).edits
    assert edits["reason"].to_list() == [
        "repeats f:1",
        *["2 different answers to this text, first at f:3"] * 3,
        "repeats f:8",
    ]


def test_conversations_with_other_speakers_are_no_duplicates() -> None:
    frame = frame_of(**{"messages[0].content": ["a", "a"], "answer": ["b", "b"], ROLES: ["user:0", "system:0"]})
    assert clean_frame(frame, Config().bind(["messages[0].content"], ["answer"])).edits.is_empty()
