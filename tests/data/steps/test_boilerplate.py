"""Quotes, signatures and shared lines go; what a person wrote in this message stays."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.steps.boilerplate import Config, apply, survey

CONFIG = Config(columns=("t",))


def _cleaned(texts: list[str | None], config: Config = CONFIG) -> list[str | None]:
    frame = frame_of(t=texts)
    known = survey([frame[:1], frame[1:]], config)
    return [text for piece in (frame[:1], frame[1:]) for text in apply(piece, config, known).frame["t"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My lamp broke.\n\nSent from my iPhone", "My lamp broke."),
        ("Kaputt.\nVon meinem iPad gesendet", "Kaputt."),
        ("Yes please.\n\nOn Tue, 5 Mar 2024 at 10:30, Ann <a@x.example> wrote:\n> Shall we?\n> Ann", "Yes please."),
        ("Ja.\nAm 05.03.2024 um 10:30 schrieb Ann Muster <a@x.example>:\nWollen wir?\nAnn", "Ja."),
        ("Oui.\nLe mar. 5 mars 2024 à 10:30, Ann a écrit :\n> On y va ?", "Oui."),
        ("> You asked:\n> when?\nToday.\n> and where?\nHere.", "Today.\nHere."),
        ("See below.\n-----Original Message-----\nFrom: Ann\nTo: Bob\nold text", "See below."),
        ("Regards,\nAnn\n-- \nAnn Muster\nHead of Lamps", "Regards,\nAnn"),
        ("Run this:\n```\n> quoted\n-- \n```\nthen wait", "Run this:\n```\n> quoted\n-- \n```\nthen wait"),
        ("> all of it\n> is a quote", "> all of it"),
        ("a line\n\nand another\n", "a line\n\nand another\n"),
        ("On Monday I wrote: hello\nbye", "On Monday I wrote: hello\nbye"),
    ],
)
def test_mail(text: str, expected: str) -> None:
    assert _cleaned([text]) == [expected]


def test_switched_off() -> None:
    text = "a\n> b\nSent from my iPhone"
    assert _cleaned([text], Config(columns=("t",), quotes=False, signatures=False)) == [text]


def test_lines_that_many_rows_share() -> None:
    notice = "This message is confidential and  may be privileged."
    texts: list[str | None] = [f"Message number {index}\n{notice}" for index in range(19)]
    # One row too few, then enough: case and white space do not count.
    assert _cleaned(texts) == texts
    enough = [*texts, f"One more\n\n{notice.upper()}", notice, f"{notice}\n{notice}", None]
    expected = [f"Message number {index}" for index in range(19)]
    assert _cleaned(enough) == [*expected, "One more", notice, notice, None]


def test_a_share_is_needed_too() -> None:
    texts: list[str | None] = [f"Message number {index}\nwith a line that others have" for index in range(30)]
    texts += [f"Another text, number {index}\nand its own second line {index}" for index in range(70)]
    assert _cleaned(texts, Config(columns=("t",), least_share=0.31)) == texts
    assert _cleaned(texts, Config(columns=("t",), least_share=0.30))[0] == "Message number 0"


def test_findings() -> None:
    frame = frame_of(t=["a\n> b\n> c", "d"])
    assert apply(frame, CONFIG, survey([frame], CONFIG)).findings == {"cells_changed": 1, "lines_removed": 2}


def test_columns_must_be_named() -> None:
    with pytest.raises(ValidationError, match="needs 'columns'"):
        Config()
