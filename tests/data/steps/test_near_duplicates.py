"""The step that drops near copies."""

from __future__ import annotations

from tests.data.steps.frames import frame_of
from tunewright.data.clean import clean_frame
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.near_duplicates import Config

FRAME = frame_of(
    text=[
        "My card has not arrived yet, please help",
        "My card has not arrived yet, please help me",
        "my card has not arrived yet please help",
        "How do I close my account?",
        None,
    ],
    label=["card", "card", "account", "account", "card"],
)


def test_the_longest_row_stays_and_the_log_says_why() -> None:
    result = clean_frame(FRAME, Config().bind(["text"], ["label"]))
    assert result.frame[ROW_ID].to_list() == ["r2", "r3", "r4", "r5"]
    # 37 of the longer one's 40 runs of four characters.
    assert result.edits["reason"].to_list() == ["near copy of f:2, similarity 0.92"]
    assert result.findings == {"near_copies": 1, "clusters": 1, "not_all_compared": 0}
    assert not result.unusable


def test_other_answers_go_too_where_asked() -> None:
    result = clean_frame(FRAME, Config(answers="any").bind(["text"], ["label"]))
    assert result.frame[ROW_ID].to_list() == ["r2", "r4", "r5"]


def test_the_fuller_row_stays() -> None:
    frame = frame_of(text=["please cancel my order", "please cancel my order!"], label=["x", "x"], note=[None, "seen"])
    assert clean_frame(frame, Config().bind(["text"], ["label"])).frame[ROW_ID].to_list() == ["r2"]
