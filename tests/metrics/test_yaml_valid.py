"""YAML validity."""

from __future__ import annotations

import pytest

from tests.metrics.contract import value
from tunewright.metrics import Answer


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a: 1\nb: [x, y]", True),
        ("- a\n- b", True),
        ('{"a": 1}', True),
        ("a: 1\na: 2", False),
        ("base: &b {x: 1}\nmore: {<<: *b, y: 2}", True),
        ("a: 'open", False),
        ("a: 1\n b: 2", False),
        ("--- {a: 1}\n--- {b: 1}", False),
        ("!!python/object:os.system {}", False),
        ("a: 2024-13-45", False),
        ("? [a]\n: b", False),
        ("&a [*a]", True),
        ("[" * 1000, False),
        ("Sure, here it is", False),
        ("", False),
        ("\x00", False),
    ],
)
def test_what_is_yaml(text: str, valid: bool) -> None:
    assert value("yaml_valid", [Answer("1", "", text)]) == float(valid)


def test_scalars_where_asked_for() -> None:
    assert value("yaml_valid", [Answer("1", "", "just words"), Answer("2", "", "")], scalars=True) == 0.5
