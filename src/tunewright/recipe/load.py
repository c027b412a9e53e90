"""From YAML text and `--set` values to a checked `Recipe`, with errors that name the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tunewright.base.errors import RecipeError, UnknownNameError, collect, did_you_mean
from tunewright.recipe.schema import FromCommandLine, Recipe

Location = tuple[str | int, ...]


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
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(
            "This recipe does not exist", where=str(path), hint="Write one with: tunewright init --from YOUR.csv."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"This recipe cannot be read ({error})", where=str(path)) from error
    mapping, lines = _parse(text, str(path))
    for override in overrides:
        _override(mapping, override)
    return recipe_from_mapping(mapping, folder=file.parent, where=str(path), lines=lines)


def recipe_from_mapping(
    mapping: Mapping[str, Any],
    *,
    folder: str | Path = ".",
    where: str = "recipe",
    lines: Mapping[Location, int] | None = None,
) -> Recipe:
    """Checks a recipe that is already a mapping; paths in it are relative to `folder`.

    Raises:
        RecipeError: Lists every fault, each with its field and, where `lines` knows it, its line.
    """
    try:
        return Recipe.model_validate(dict(mapping), context={"folder": str(Path(folder).absolute())})
    except UnknownNameError as error:
        raise RecipeError(error.what, where=where, hint=error.hint) from error
    except ValidationError as error:
        faults = [_fault(fault, where, lines or {}) for fault in error.errors()]
        if len(faults) == 1:
            raise RecipeError(faults[0].rstrip(".")) from error
        raise RecipeError(f"{where}: {len(faults)} faults\n{collect(faults)}") from error


def _parse(text: str, where: str) -> tuple[dict[str, Any], dict[Location, int]]:
    try:
        value = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(f"This is not valid YAML: {problem}", where=f"{where}{line}") from error
    if not isinstance(value, dict) or node is None:
        raise RecipeError(
            "A recipe is a mapping with the keys name, goal and data",
            where=where,
            hint="Write one with: tunewright init --from YOUR.csv.",
        )
    lines: dict[Location, int] = {}
    _walk(node, (), lines)
    return value, lines


def _walk(node: yaml.Node, at: Location, lines: dict[Location, int]) -> None:
    """Notes the line of every key and item."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, key.value)
            lines[place] = key.start_mark.line + 1
            _walk(value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*at, index), lines)


def _override(mapping: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise RecipeError("An override reads a.b=value", where=f"--set {override}", hint="As in: --set train.epochs=3.")
    try:
        value = _from_command_line(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise RecipeError(f"The value is not valid YAML ({error})", where=f"--set {override}") from error
    *parents, last = name.strip().split(".")
    place: Any = mapping
    for parent in parents:
        if isinstance(place.get(parent), str):
            place[parent] = {"name": place[parent]}  # `method: lora` and `--set method.rank=8`
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise RecipeError(f"'{parent}' holds no fields that could be set", where=f"--set {override}")
    place[last] = value


def _from_command_line(value: Any) -> Any:
    if isinstance(value, str):
        return FromCommandLine(value)
    if isinstance(value, list):
        return [_from_command_line(item) for item in value]
    if isinstance(value, dict):
        return {key: _from_command_line(item) for key, item in value.items()}
    return value


def _fault(fault: Any, where: str, lines: Mapping[Location, int]) -> str:
    at: Location = fault["loc"]
    line = next((lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in lines), None)
    place = f"{where}:{line}" if line else where
    field = ".".join(map(str, at)) or "recipe"
    if fault["type"] == "extra_forbidden":
        known = _fields_at(Recipe, at[:-1])
        return f"{place}: '{field}' is unknown. {did_you_mean(str(at[-1]), known)}Known: {', '.join(sorted(known))}."
    if fault["type"] == "missing":
        return f"{place}: '{field}' is missing."
    message = str(fault["msg"]).removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict | list) else f" (given: {fault['input']!r})"
    return f"{place}: '{field}': {message}{given}."


def _fields_at(model: type[BaseModel], at: Location) -> list[str]:
    """The fields a section knows, following a location through nested models."""
    for key in at:
        found = model.model_fields.get(str(key))
        nested = found.annotation if found else None
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            return []
        model = nested
    return list(model.model_fields)
