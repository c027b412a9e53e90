"""Conformance to a JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.metrics.contract import measure
from tunewright.base.errors import InputError
from tunewright.metrics import Answer
from tunewright.metrics.schema_valid import Config

SCHEMA = {
    "type": "object",
    "required": ["intent"],
    "properties": {"intent": {"enum": ["refund", "other"]}, "day": {"type": "string", "format": "date"}},
    "additionalProperties": False,
}
SAID = [
    '{"intent": "refund"}',
    '{"intent": "buy"}',
    '{"intent": "other", "more": 1}',
    '{"intent": "other", "day": "tomorrow"}',
    "{}",
    "refund",
    "",
    '{"intent": "other", "intent": "other"}',
]
ANSWERS = [Answer(str(row), "", text) for row, text in enumerate(SAID)]


def test_answers_against_a_schema() -> None:
    found = measure("schema_valid", ANSWERS, json_schema=SCHEMA)["schema_valid"]
    assert list(found.values) == [1, 0, 0, 1, 0, 0, 0, 0]
    strict = measure("schema_valid", ANSWERS, json_schema=SCHEMA, formats=True)["schema_valid"]
    assert list(strict.values) == [1, 0, 0, 0, 0, 0, 0, 0]


def test_a_file_is_found_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    config = Config.model_validate({"file": "schema.json"}, context={"folder": str(tmp_path)})
    assert config.file == str(tmp_path / "schema.json")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "either json_schema or file"),
        ({"json_schema": {"type": "objekt"}}, "no JSON Schema: 'objekt'"),
        ({"file": "/not/there.json"}, "holds no JSON Schema"),
    ],
)
def test_settings_without_a_schema_are_refused(settings: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Config.model_validate(settings)


def test_nothing_is_fetched_from_elsewhere() -> None:
    with pytest.raises(InputError, match=r"refers to 'https://example\.org/s\.json'.*\$defs"):
        measure("schema_valid", ANSWERS, json_schema={"$ref": "https://example.org/s.json"})
