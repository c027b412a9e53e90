"""The recipe: one YAML file that says what to make, from what, and what counts as success."""

from tunewright.recipe.export import recipe_schema
from tunewright.recipe.load import load_recipe, recipe_from_mapping
from tunewright.recipe.schema import Recipe

__all__ = ["Recipe", "load_recipe", "recipe_from_mapping", "recipe_schema"]
