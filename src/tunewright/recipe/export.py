"""The recipe as a JSON Schema, for editors that complete and check YAML while it is written."""

from __future__ import annotations

from typing import Any

from tunewright.recipe.schema import Recipe


def recipe_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a recipe, with the settings of every known plug-in."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}
