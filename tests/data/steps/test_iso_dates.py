"""Dates become ISO dates, and day and month are never guessed."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.iso_dates import Config, apply, read_dates, survey


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05", "2024-03-05"),
        ("2024/3/5", "2024-03-05"),
        ("20240305", "2024-03-05"),
        ("2024-03-05T10:00:00Z", "2024-03-05"),
        ("25/03/2024", "2024-03-25"),
        ("03/25/2024", "2024-03-25"),
        ("04.04.2024", "2024-04-04"),
        ("5 March 2024", "2024-03-05"),
        ("Mar 5, 2024", "2024-03-05"),
        ("March 5th, 2024", "2024-03-05"),
        ("Tue, 05 Mar 2024 10:00:00 +0000", "2024-03-05"),
        ("03/04/2024", "ambiguous"),
        ("03/04/2024 10:30 PM", "ambiguous"),
        ("Tuesday 03/04/2024", "ambiguous"),
        ("25.03.24", "ambiguous"),
        ("31/02/2024", "unparsable"),
        ("2024-13-01", "unparsable"),
        ("5 March", "unparsable"),
        ("March 2024", "unparsable"),
        ("yesterday", "unparsable"),
        ("2 days ago", "unparsable"),
        ("45356", "unparsable"),
        ("soon", "unparsable"),
    ],
)
def test_without_an_order(text: str, expected: str) -> None:
    assert read_dates([text], None, ("en",)) == {text: expected}


def test_the_order_decides_and_is_never_turned_round() -> None:
    texts = ["03/04/2024", "25/03/2024", "03/25/2024", "25.03.24"]
    assert list(read_dates(texts, "dmy", ("en",)).values()) == ["2024-04-03", "2024-03-25", "unparsable", "2024-03-25"]
    assert list(read_dates(texts, "mdy", ("en",)).values()) == ["2024-03-04", "unparsable", "2024-03-25", "unparsable"]


def test_other_languages() -> None:
    assert read_dates(["5. März 2024"], None, ("de",)) == {"5. März 2024": "2024-03-05"}


@given(st.dates(datetime.date(1970, 1, 1), datetime.date(2060, 12, 31)), st.sampled_from("-/. "))
@settings(deadline=None, max_examples=50)
def test_a_written_date_reads_back_or_is_called_ambiguous(date: datetime.date, mark: str) -> None:
    text = date.strftime(f"%d{mark}%m{mark}%Y")
    unclear = date.day <= 12 and date.day != date.month
    assert read_dates([text], None, ("en",))[text] == ("ambiguous" if unclear else date.isoformat())
    assert read_dates([text], "dmy", ("en",))[text] == date.isoformat()


def test_faults_are_set_aside_with_their_reasons() -> None:
    frame, config = frame_of(on=["03/04/2024", "5 May 2024", None, "soon"]), Config(columns=("on",))
    result = apply(frame, config, survey([frame], config))
    assert result.frame[ROW_ID].to_list() == ["r2", "r3"]
    assert result.frame["on"].to_list() == ["2024-05-05", None]
    assert result.unusable == {"r1", "r4"}
    assert result.findings == {"cells_changed": 1, "ambiguous": 1, "unparsable": 1}
    assert result.edits.filter(result.edits["field"].is_null())["reason"].to_list() == [
        "on: '03/04/2024' may be two dates; say which with 'order'",
        "on: 'soon' is no complete date",
    ]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["25/03/2024", "26/03/2024", "27/03/2024"], "2024-04-03"),
        (["03/25/2024", "03.26.2024", "3-27-2024"], "2024-03-04"),
        (["25/03/2024", "26/03/2024"], None),  # too few
        (["25/03/2024", "26/03/2024", "27/03/2024", "03/25/2024"], None),  # both
        (["2024-03-25", "25 March 2024", "25/03/24", "04/04/2024"], None),  # none
    ],
)
def test_the_column_says_which_number_is_the_day(others: list[str], expected: str | None) -> None:
    frame, config = frame_of(on=["03/04/2024", *others]), Config(columns=("on",), on_error="null")
    known = survey([frame[:2], frame[2:]], config)
    assert apply(frame[:1], config, known).frame["on"].to_list() == [expected]


def test_columns_must_be_named() -> None:
    with pytest.raises(ValidationError, match="needs 'columns'"):
        Config()
