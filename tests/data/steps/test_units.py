"""Units are written one way, and converted only where asked."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.data.measures import convert, spellings, unit_pattern, units
from tunewright.data.steps.units import Config, apply


def _written(text: str, **settings: object) -> str:
    config = Config.model_validate({"columns": ["t"], **settings})
    found: str = apply(frame_of(t=[text]), config).frame["t"][0]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weighs 12 kilos", "weighs 12 kg"),
        ("12kgs, 12 KG and 12 Kilograms", "12 kg, 12 kg and 12 kg"),
        ("3.5 miles at 60 miles per hour", "3.5 mi at 60 mph"),
        ("72 degrees Fahrenheit, 20ºC, 20 °C", "72 °F, 20 °C, 20 °C"),
        ("6 feet and 2 inches", "6 ft and 2 in"),
        ("500ml of 100 square metres", "500 mL of 100 m²"),
        ("10 lbs.", "10 lb"),
        ("5-10 kilos", "5-10 kg"),
        ("16GB, 16 gigabytes", "16 GB, 16 GB"),
    ],
)
def test_spelling(text: str, expected: str) -> None:
    assert _written(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "20 pounds",
        "5m, 5 g and 5 t",
        "5 kgfoo",
        "kilos",
        "a 5 in the corner",
        "16 Gb",
        "`12 kilos`",
        "https://x.example/12kilos",
    ],
)
def test_left_alone(text: str) -> None:
    assert _written(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 lbs", "4.54 kg"),  # 4.5359237
        ("150.0 lb", "68.04 kg"),  # 68.0388555, four digits as written
        ("100 miles", "161 km"),  # 160.9344
        ("3 mi", "4.83 km"),  # 4.828032
        ("72 °F and -40 °F", "22 °C and -40 °C"),  # 22.2 and -40
        ("98.6 degrees F", "37.0 °C"),
        ("1,000 lb", "1,000 lb"),  # one, or a thousand
        ("1,000.5 lb", "453.82 kg"),  # 453.8191619, five digits as written
        ("5-10 lbs or 2 x 5 lbs", "5-10 lb or 2 x 5 lb"),
        ("about 30 to 40 lb", "about 30 to 40 lb"),
        ("0 lb", "0 kg"),
    ],
)
def test_conversion(text: str, expected: str) -> None:
    assert _written(text, convert={"lb": "kg", "mi": "km", "°F": "°C"}) == expected


def test_the_decimal_mark_may_be_given() -> None:
    assert _written("1,000 lb", convert={"lb": "kg"}, decimal="point") == "453.6 kg"  # 453.59237
    assert _written("1,000 lb", convert={"lb": "kg"}, decimal="comma") == "0.4536 kg"


def test_what_is_not_converted_is_counted() -> None:
    config = Config(columns=("t",), convert={"lb": "kg"})
    result = apply(frame_of(t=["10 lb, 1,000 lb", "5-6 lb"]), config)
    assert result.findings == {"cells_changed": 1, "converted": 1, "not_converted": 2}


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ({"lbs": "kg"}, "the unit 'lbs' is unknown. Did you mean 'lb'"),
        ({"lb": "km"}, "lb is mass, and km is length"),
        ({"lb": "kg", "kg": "g"}, "kg is converted itself"),
    ],
)
def test_conversions_that_cannot_be_are_refused(mapping: dict[str, str], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Config(convert=mapping)


def test_the_table_is_sound() -> None:
    import re

    assert all(re.fullmatch(unit_pattern(), spelling) for spelling in spellings())
    assert all(unit.symbol in units() for unit in units().values())
    assert convert("100", units()["°C"], units()["K"]) == "373"
    assert convert("1.00", units()["mi"], units()["ft"]) == "5280"
