from __future__ import annotations

import json
from typing import Any

from tunewright.base.plugins import METHODS, METRICS, OBJECTIVES, STEPS, Plugins
from tunewright.recipe import recipe_schema


def variants(field: dict[str, Any], kind: Plugins) -> dict[str, dict[str, Any]]:
    """The settings of each plug-in that a field's schema offers, by name."""
    names, *settings = field["oneOf"]
    assert names["enum"] == list(kind.names())
    found = {one["title"]: one for one in settings}
    assert list(found) == list(kind.names())
    return found


def test_it_is_a_json_schema() -> None:
    schema = json.loads(json.dumps(recipe_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["name", "goal", "data"]
    assert schema["additionalProperties"] is False
    for name in _references(schema):
        assert name.removeprefix("#/$defs/") in schema["$defs"]


def test_plugins_say_their_own_settings() -> None:
    schema = recipe_schema()
    train, data, evaluate = (schema["$defs"][name]["properties"] for name in ("Train", "Data", "Evaluate"))
    lora = variants(schema["properties"]["method"], METHODS)["lora"]
    assert lora["properties"]["rank"]["minimum"] == 1
    assert lora["properties"]["rank"]["description"]
    assert lora["additionalProperties"] is False
    assert "name" not in lora.get("required", []), "the default's name may be left out"
    variants(train["objective"], OBJECTIVES)
    variants(evaluate["metrics"]["items"], METRICS)
    for name, step in variants(data["steps"]["items"], STEPS).items():
        assert step["properties"]["name"]["const"] == name
        assert "name" in step["required"]


def test_sources_may_be_a_path_a_mapping_or_a_list() -> None:
    text, source, many = recipe_schema()["$defs"]["Data"]["properties"]["train"]["anyOf"]
    assert (text, source) == ({"type": "string"}, {"$ref": "#/$defs/Source"})
    assert many == {"type": "array", "items": {"anyOf": [text, source]}}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return [*own, *(name for item in value.values() for name in _references(item))]
    return [name for item in value for name in _references(item)] if isinstance(value, list) else []
