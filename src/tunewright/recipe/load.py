"""From YAML text and `--set` values to a checked `Recipe`, with errors that name the line."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tunewright.base.errors import RecipeError, collect
from tunewright.recipe.faults import Location, faults
from tunewright.recipe.schema import FromCommandLine, Recipe

_START = "Write one with: tunewright init --from YOUR.csv."


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file.

    Args:
        path: The YAML file. Paths inside it are relative to its folder.
        overrides: `a.b=value` each, the value in YAML; paths are relative to the working directory.

    Raises:
        RecipeError: If the file cannot be read or says something wrong; names file, line and field.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RecipeError("This recipe does not exist", where=str(path), hint=_START) from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"This recipe is not UTF-8 (byte {error.start})", where=str(path), hint="Save it as UTF-8."
        ) from error
    except OSError as error:
        raise RecipeError(f"This recipe cannot be read ({error.strerror})", where=str(path)) from error
    mapping, places = _parse(text, str(path))
    return recipe_from_mapping(mapping, folder=file.parent, where=str(path), places=places, overrides=overrides)


def recipe_from_mapping(
    mapping: Mapping[str, Any],
    *,
    folder: str | Path = ".",
    where: str = "recipe",
    places: Mapping[Location, str] | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """Checks a recipe that is already a mapping; paths in it are relative to `folder`.

    Overrides are `a.b=value` each, as `load_recipe` takes them.

    Raises:
        RecipeError: Lists every fault, each with its field and its place, if `places` knows it, else `where`.
    """
    given, places = copy.deepcopy(dict(mapping)), dict(places or {})
    for override in overrides:
        _override(given, override, places)
    try:
        return Recipe.model_validate(given, context={"folder": str(Path(folder).absolute())})
    except ValidationError as error:
        found = faults(error, Recipe, given, where, places)
        if len(found) == 1:
            raise RecipeError(found[0][1].removesuffix("."), where=found[0][0]) from error
        listed = collect([f"{place}: {sentence}" for place, sentence in found])
        raise RecipeError(f"There are {len(found)} faults\n{listed.removesuffix('.')}", where=where) from error


def _parse(text: str, where: str) -> tuple[dict[str, Any], dict[Location, str]]:
    try:
        value = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(f"This is not valid YAML: {problem}", where=f"{where}{line}") from error
    if not isinstance(value, dict) or node is None:
        raise RecipeError("A recipe is a mapping with the keys name, goal and data", where=where, hint=_START)
    places: dict[Location, str] = {}
    note_places(node, (), where, places)
    return value, places


def note_places(
    node: yaml.Node, at: Location, where: str, places: dict[Location, str], open_: frozenset[int] = frozenset()
) -> None:
    """Notes where every key and item stands; refuses a key that stands twice, since YAML would drop the first."""
    places.setdefault(at, f"{where}:{node.start_mark.line + 1}")
    if id(node) in open_:
        raise RecipeError("An alias here holds itself", where=places[at])
    inside = open_ | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = f"{where}:{key.start_mark.line + 1}"
            place = (*at, key.value)
            if not isinstance(key, yaml.ScalarNode):
                raise RecipeError("A key is a word, not a list or a mapping", where=line)
            if key.value in seen:
                raise RecipeError(
                    f"'{'.'.join(map(str, place))}' is given twice", where=line, hint="Take one of them out."
                )
            seen.add(key.value)
            places[place] = line
            note_places(value, place, where, places, inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            note_places(item, (*at, index), where, places, inside)


def _override(mapping: dict[str, Any], override: str, places: dict[Location, str]) -> None:
    where = f"--set {override}"
    name, equals, text = override.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise RecipeError("An override reads a.b=value", where=where, hint="As in: --set train.epochs=3.")
    try:
        value = _from_command_line(yaml.safe_load(text))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(f"The value is not valid YAML: {problem}", where=where) from error
    place: Any = mapping
    for key in keys[:-1]:
        if isinstance(place.get(key), str):
            place[key] = {"name": place[key]}  # `method: lora` and `--set method.rank=8`
        if place.get(key) is None:
            place[key] = {}  # absent, or a section whose lines are all comments
        place = place[key]
        if not isinstance(place, dict):
            raise RecipeError(f"'{key}' holds no fields that could be set", where=where)
    place[keys[-1]] = value
    for at in [at for at in places if at[: len(keys)] == keys]:
        del places[at]
    places[keys] = where


def _from_command_line(value: Any) -> Any:
    if isinstance(value, str):
        return FromCommandLine(value)
    if isinstance(value, list):
        return [_from_command_line(item) for item in value]
    if isinstance(value, dict):
        return {key: _from_command_line(item) for key, item in value.items()}
    return value
