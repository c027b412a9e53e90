"""Rows in other languages go; short and unclear ones stay, and are counted."""

from __future__ import annotations

import pytest

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.language import Config, apply

FRAME = frame_of(
    t=[
        "My card has not arrived yet, and I have been waiting for two weeks.",
        "Meine Karte ist noch nicht angekommen, und ich warte schon seit zwei Wochen.",
        "Ma carte n'est pas encore arrivée, et j'attends depuis deux semaines.",
        "Nein danke",
        None,
        "1234 5678 9012 3456 7890 1234 5678 9012",
    ]
)


@pytest.mark.parametrize(("keep", "kept"), [(("en",), ["r1"]), (("de", "fr"), ["r2", "r3"])])
def test_languages(keep: tuple[str, ...], kept: list[str]) -> None:
    result = apply(FRAME, Config(columns=("t",), keep=keep))
    assert result.frame[ROW_ID].to_list() == [*kept, "r4", "r5", "r6"]
    assert result.findings == {"other_language": 3 - len(kept), "too_short_to_tell": 3, "unsure": 0}
    assert len(result.unusable) == 3 - len(kept)


def test_unsure_rows_stay() -> None:
    # A third of each language, so that none is clear.
    frame = frame_of(t=[" ".join(part[:22] for part in FRAME["t"].to_list()[:3])])
    result = apply(frame, Config(columns=("t",), keep=("es",), least_probability=1.0))
    assert result.findings["unsure"] == 1
    assert result.frame.equals(frame)


def test_the_reason_names_the_language() -> None:
    result = apply(FRAME[:2], Config(columns=("t",), least_probability=0.5))
    assert result.edits["reason"].to_list()[0].startswith("language de (")


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(DataError, match="has the code 'xx'"):
        apply(FRAME, Config(columns=("t",), keep=("xx",)))
