"""What is wrong with a recipe, in sentences: where it stands, which field, what was given, what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tunewright.base.errors import did_you_mean

Location = tuple[str | int, ...]
_WHOLE = "\0"  # no sentence holds it otherwise


def faults(
    error: ValidationError,
    model: type[BaseModel],
    given: Any,
    where: str,
    places: Mapping[Location, str],
    *,
    whole: str = "The recipe",
) -> list[tuple[str, str]]:
    """Place and sentence for each field that is wrong.

    Args:
        model: The class that refused.
        given: The mapping that it refused.
        where: The whole of it, for faults that `places` does not know.
        places: Where each key and item stands: `recipe.yaml:7`, `--set train.epochs=x`.
        whole: What a fault of no field in particular is a fault of.
    """
    found: dict[Location, list[str]] = {}
    for at, sentence in _sentences(error.errors(), model, given):
        sentence = sentence.replace(_WHOLE, whole)
        # A field that may be of two types is refused once for each.
        found.setdefault(at, []).append(sentence)
    return [(_place(at, where, places), " Or: ".join(dict.fromkeys(said))) for at, said in found.items()]


def _sentences(
    details: Iterable[ErrorDetails], model: type[BaseModel], given: Any, under: Location = ()
) -> Iterator[tuple[Location, str]]:
    all_of_them = list(details)
    for fault in all_of_them:
        if fault["type"] == "too_short" and any(_is_inside(other, fault) for other in all_of_them):
            continue  # a list counts only its good items
        at = _known_part(fault, given)
        if fault["type"] == "plugin_faults":
            inner = fault["ctx"]
            yield from _sentences(inner["faults"], inner["config"], fault["input"], (*under, *at))
        else:
            yield (*under, *at), _sentence(fault, model, (*under, *at))


def _is_inside(fault: ErrorDetails, other: ErrorDetails) -> bool:
    depth = len(other["loc"])
    return len(fault["loc"]) > depth and fault["loc"][:depth] == other["loc"]


def _sentence(fault: ErrorDetails, model: type[BaseModel], at: Location) -> str:
    field = f"'{'.'.join(map(str, at))}'" if at else _WHOLE
    if fault["type"] == "extra_forbidden":
        known = sorted(_fields_at(model, fault["loc"][:-1]))
        return f"{field} is unknown. {did_you_mean(str(at[-1]), known)}Known: {', '.join(known)}."
    if fault["type"] == "missing":
        return f"{field} is missing."
    message = str(fault["msg"]).removeprefix("Value error, ")
    if message.endswith("."):
        return f"{field}: {message}"
    value = fault["input"]
    shown = "" if isinstance(value, dict | list | tuple | BaseModel) else f" (given: {_shown(value)})"
    hint = ""
    if fault["type"] == "literal_error" and isinstance(value, str):
        hint = " " + did_you_mean(value, re.findall(r"'([^']*)'", str(fault["ctx"]["expected"]))).rstrip()
    return f"{field}: {message}{shown}.{hint}".rstrip()


def _shown(value: Any) -> str:
    # Through str, so that a value from the command line looks like any other.
    return repr(str(value)) if isinstance(value, str) else repr(value)


def _known_part(fault: ErrorDetails, given: Any) -> Location:
    """The part of a fault's location that the author wrote.

    The rest names a variant of a type, or an item of a list that a single value was taken for.
    """
    at: list[str | int] = []
    value = given
    for key in fault["loc"]:
        item = isinstance(value, list | tuple) and isinstance(key, int) and key < len(value)
        if not item and not (isinstance(value, Mapping) and key in value):
            break
        value = value[key]
        at.append(key)
    if fault["type"] == "missing":
        at.append(fault["loc"][-1])
    return tuple(at)


def _place(at: Location, where: str, places: Mapping[Location, str]) -> str:
    known = (places[at[:length]] for length in range(len(at), -1, -1) if at[:length] in places)
    return next(known, where)


def _fields_at(model: type[BaseModel], at: Location) -> list[str]:
    """The fields a section knows, following a location through nested models, lists and choices."""
    for key in at:
        fields = _by_key(model)
        if isinstance(key, int) or key not in fields:
            continue  # an item of a list, or a variant of a type
        nested = _model_in(fields[key])
        if nested is None:
            return []
        model = nested
    return list(_by_key(model))


def _by_key(model: type[BaseModel]) -> dict[str, Any]:
    """The type of each field, by the key that an author writes for it."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
