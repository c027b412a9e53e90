"""Share of answers that are JSON and keep to a JSON Schema.

The schema stands in the recipe or in a file beside it, in any draft that the library `jsonschema` knows (2020-12 where
it does not say). It must stand on its own: a reference to another address is refused, and nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tunewright.base.errors import InputError
from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share
from tunewright.metrics._records import parse_json
from tunewright.recipe.schema import DataPath

NEEDS_REFERENCE = False
ABOUT = {"schema_valid": About("Keeps to the schema", "the answer is JSON that keeps to the given schema")}


class Config(PluginConfig):
    """Settings of the conformance to a schema."""

    name: Literal["schema_valid"] = "schema_valid"
    json_schema: dict[str, Any] | None = Field(None, description="The schema itself.")
    file: DataPath | None = Field(None, description="A JSON file with the schema, relative to the recipe.")
    formats: bool = Field(False, description="Whether `format` is checked too (dates, addresses), not only noted.")

    @model_validator(mode="after")
    def _is_a_schema(self) -> Self:
        if (self.json_schema is None) == (self.file is None):
            raise ValueError("schema_valid needs either json_schema or file")
        read_schema(self)
        return self


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the answer is JSON (as `json_valid` means it) and valid against the schema, else 0; reduced to the mean.

    Raises:
        InputError: If the schema refers to what it does not hold.
    """
    require_answers(config.name, answers)
    validator = _validator(config)
    return [share(config.name, [_is_valid(answer.prediction, validator) for answer in answers])]


def read_schema(config: Config) -> dict[str, Any]:
    """The schema that settings name.

    Raises:
        ValueError: If its file cannot be read, or it is no schema.
    """
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    schema = config.json_schema
    if config.file is not None:
        try:
            schema = json.loads(Path(config.file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{config.file} holds no JSON Schema: {error}") from error
    if not isinstance(schema, dict):
        raise ValueError(f"{config.file} holds no JSON Schema: it is no object")
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"this is no JSON Schema: {error.message} (at {error.json_path})") from error
    return schema


def _validator(config: Config) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    schema = read_schema(config)
    kind = validator_for(schema, default=Draft202012Validator)
    # A registry of its own: without one, references are fetched from wherever they point to.
    return kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER if config.formats else None)


def _is_valid(text: str, validator: Any) -> bool:
    from referencing.exceptions import Unresolvable

    try:
        value = parse_json(text)
    except ValueError:
        return False
    try:
        return bool(validator.is_valid(value))
    except RecursionError:
        return False
    except Unresolvable as error:
        raise InputError(
            f"The schema refers to '{error.ref}', which it does not hold",
            where="schema_valid",
            hint="Put it under $defs: nothing is fetched from elsewhere.",
        ) from error
