from __future__ import annotations

import pytest

from tunewright.base.errors import TunewrightError
from tunewright.data.quality.inspection import SHARE, Case, Inspection, Verdict, counted, graded, shown


def inspection(**changes: object) -> Inspection:
    fields = {"title": "T", "value": 0.125, "unit": SHARE, "verdict": "look", "found": "F.", "meaning": "M."}
    return Inspection(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.125, SHARE, "12.5%"),
        (0.0006, SHARE, "0.06%"),
        (0.0, SHARE, "0.0%"),
        (31.0, "rows", "31 rows"),
        (74.382, "effective classes", "74.4 effective classes"),
        (12345.6, "words", "12,346 words"),
        (4.5, "", "4.5"),
    ],
)
def test_a_number_is_shown_with_its_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "good"), (0.1, "look"), (0.29, "look"), (0.3, "act")])
def test_more_is_worse(value: float, verdict: Verdict) -> None:
    assert graded(value, look=0.1, act=0.3) == verdict


def test_plurals() -> None:
    assert [counted(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
    assert counted(2, "class", "classes") == "2 classes"


def test_numbers_stand_beside_what_they_mean() -> None:
    found = inspection(numbers={"exact": {"rows": 3}}, worst=(Case("a.csv:2", "text", "why"),)).as_json()
    assert found["exact"] == {"rows": 3}
    assert found["verdict"] == "look"
    assert found["worst"] == [{"place": "a.csv:2", "text": "text", "why": "why"}]


def test_a_number_may_not_hide_a_field() -> None:
    with pytest.raises(TunewrightError, match="may not be called 'verdict'"):
        inspection(numbers={"verdict": 1}).as_json()
