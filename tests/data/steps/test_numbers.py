"""Numbers are written plainly, and a comma is never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.numbers import Config, apply, survey


def _plain(texts: list[str | None], **settings: object) -> list[str | None]:
    frame = frame_of(n=texts)
    config = Config.model_validate({"columns": ["n"], "on_error": "null", **settings})
    found: list[str | None] = apply(frame, config, survey([frame[:1], frame[1:]], config)).frame["n"].to_list()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", "1234"),
        ("-12.5", "-12.5"),
        ("−12,5", "-12.5"),
        ("1,234,567", "1234567"),
        ("1.234.567,89", "1234567.89"),
        ("1 234 567,8", "1234567.8"),
        ("1\u202f234\u202f567", "1234567"),
        ("1'234.50", "1234.50"),
        ("12,34,567.8", "1234567.8"),
        (".5", "0.5"),
        ("0,125", "0.125"),
        ("007", "007"),
        ("€ 1.234,50", "€ 1234.50"),
        ("$1,234.50", "$1234.50"),
        ("(1,234.50)", "(1234.50)"),
        ("12,5 %", "12.5 %"),
        ("1.5e-3", "1.5e-3"),
        ("1,234", None),
        ("12.345", None),
        ("soon", None),
        ("1,23,45", None),
        ("10-20", None),
        ("1..5", None),
        (None, None),
    ],
)
def test_on_its_own(text: str | None, expected: str | None) -> None:
    assert _plain([text]) == [expected]


def test_the_column_says_what_a_comma_is() -> None:
    assert _plain(["1,234", "0,5", "1,25", "7,5"]) == ["1.234", "0.5", "1.25", "7.5"]
    assert _plain(["1.234", "0,5", "1,25", "7,5"]) == ["1234", "0.5", "1.25", "7.5"]
    assert _plain(["1,234", "0.5", "1.25", "7.5"]) == ["1234", "0.5", "1.25", "7.5"]
    assert _plain(["1,234", "0.5", "1.25"]) == [None, "0.5", "1.25"]
    assert _plain(["1,234", "0.5", "1.25", "7.5", "7,5"]) == [None, "0.5", "1.25", "7.5", "7.5"]


def test_where_nothing_else_will_show_it_the_result_does() -> None:
    # Thousands set apart prove the point, and are gone from what is written: 12.345 alone would be unclear again.
    assert _plain(["12.345", "1,234,567", "2,234,567", "3,234,567"]) == ["12.3450", "1234567", "2234567", "3234567"]
    assert _plain(["12,345"], decimal="comma") == ["12.3450"]
    assert _plain(["12.345"], decimal="comma") == ["12345"]
    assert _plain(["12.345", "12,345"], decimal="point") == ["12.345", "12345"]


def test_a_column_with_both_is_left_alone_where_faults_are_kept() -> None:
    texts: list[str | None] = ["1,234", "0.5", "7,5"]
    assert _plain(texts, on_error="keep") == texts


def test_faults_are_set_aside_with_their_reasons() -> None:
    frame, config = frame_of(n=["1,234", "x", "5"]), Config(columns=("n",))
    result = apply(frame, config, survey([frame], config))
    assert result.frame[ROW_ID].to_list() == ["r3"]
    assert result.unusable == {"r1", "r2"}
    assert result.findings == {"cells_changed": 0, "ambiguous": 1, "unreadable": 1}
    assert result.edits["reason"].to_list() == [
        "n: '1,234' may be two numbers; say which with 'decimal'",
        "n: 'x' is no number",
    ]


_NUMBER = st.from_regex(r"-?[1-9][0-9]{0,6}([.][0-9]{1,4})?", fullmatch=True)


@given(st.lists(_NUMBER, min_size=1, max_size=6), st.sampled_from(["point", "comma"]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_what_was_written_reads_back_as_the_same_number(numbers: list[str], mark: str, grouped: bool) -> None:
    written = []
    for number in numbers:
        whole, _, part = number.partition(".")
        text = (f"{int(whole):,}" if grouped else whole) + (f".{part}" if part else "")
        written.append(text if mark == "point" else text.translate(str.maketrans(".,", ",.")))
    read = _plain([*written], decimal=mark)
    assert [None if text is None else float(text) for text in read] == [float(number) for number in numbers]
    assert _plain(read, decimal=mark) == read


def test_columns_must_be_named() -> None:
    with pytest.raises(ValidationError, match="needs 'columns'"):
        Config()
