"""Which JSON schemas may be asked for strictly: OpenAI's subset, every fault named with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tunewright.base.errors import InputError

_NOTES = {"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$id"}
_KEYWORDS = _NOTES | {"type", "enum", "const", "anyOf", "$ref", "$defs", "definitions"}
_BY_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "format", "minLength", "maxLength"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_KNOWN = _KEYWORDS.union(*_BY_TYPE.values())
# OpenAI's own limits, but for the depth, which it sets to ten levels of objects.
_MOST_PROPERTIES, _MOST_ENUM_VALUES, _MOST_CHARACTERS, _DEEPEST = 5000, 1000, 120_000, 64

_LARGEST_FACTOR = 10_000  # of `multipleOf`: each remainder is a state of its own


def check_size(schema: Any, where: str) -> None:
    """Refuses a schema, strict or not, that would take long to compile: in the server, others would have to wait.

    Raises:
        InputError: Names the place of what is too large.
    """
    waiting: list[tuple[str, int, Any]] = [(where, 0, schema)]
    while waiting:
        place, depth, value = waiting.pop()
        if depth > 2 * _DEEPEST:  # a property's schema is two objects further in
            raise _fault(where, f"schemas are nested more than {_DEEPEST} deep")
        inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for name, one in inner:
            if name == "multipleOf" and isinstance(one, int | float) and _digits(one) > _LARGEST_FACTOR:
                raise _fault(
                    f"{place}.{name}", f"this is {one}; without its point, it may be {_LARGEST_FACTOR:,} at the most"
                )
            waiting.append((f"{place}.{name}" if isinstance(name, str) else f"{place}[{name}]", depth + 1, one))


def check_strict(schema: Any, where: str) -> None:
    """Refuses a schema that is outside of what can be promised.

    Objects name all their properties as required and allow no others; the outermost value is an object.

    Args:
        where: The name of the place where the schema stands, such as `response_format.json_schema.schema`.
    Raises:
        InputError: Names the place of the first fault.
    """
    if not isinstance(schema, Mapping):
        raise _fault(where, f"a schema must be an object, and this is {_kind(schema)}")
    if "object" not in _types(schema, where) or "anyOf" in schema:
        raise _fault(where, "the outermost schema must have the type 'object', and no 'anyOf'")
    properties = values = characters = 0
    for place, one in _walk(schema, where, 0):
        _check_one(one, place, schema)
        properties += len(one.get("properties", ()))
        values += len(one.get("enum", ()))
        names = [*one.get("properties", ()), *one.get("enum", ()), *one.get("$defs", ()), one.get("const", "")]
        characters += sum(len(name) for name in names if isinstance(name, str))
    for what, found, most in (
        ("properties", properties, _MOST_PROPERTIES),
        ("values in enums", values, _MOST_ENUM_VALUES),
        ("characters in names and values", characters, _MOST_CHARACTERS),
    ):
        if found > most:
            raise _fault(where, f"it has {found:,} {what}, and {most:,} are the most")


def _walk(schema: Any, place: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each schema inside of a schema, itself first, with its place."""
    if not isinstance(schema, Mapping):
        raise _fault(place, f"a schema must be an object, and this is {_kind(schema)}")
    if depth > _DEEPEST:
        raise _fault(place, f"schemas are nested more than {_DEEPEST} deep")
    yield place, schema
    for key in ("properties", "$defs", "definitions"):
        inner = schema.get(key, {})
        if not isinstance(inner, Mapping):
            raise _fault(f"{place}.{key}", f"this must be an object, and is {_kind(inner)}")
        for name, one in inner.items():
            yield from _walk(one, f"{place}.{key}.{name}", depth + 1)
    if "items" in schema:
        yield from _walk(schema["items"], f"{place}.items", depth + 1)
    options = schema.get("anyOf", [])
    if not isinstance(options, list) or ("anyOf" in schema and not options):
        raise _fault(f"{place}.anyOf", "this must be a list of schemas, one at least")
    for number, one in enumerate(options):
        yield from _walk(one, f"{place}.anyOf[{number}]", depth + 1)


def _check_one(schema: Mapping[str, Any], place: str, root: Mapping[str, Any]) -> None:
    unknown = sorted(schema.keys() - _KNOWN)
    if unknown:
        raise _fault(f"{place}.{unknown[0]}", "this keyword is not supported in a strict schema")
    types = _types(schema, place)
    for kind, keywords in _BY_TYPE.items():
        misplaced = sorted(keywords & schema.keys()) if kind not in types else []
        if misplaced:
            raise _fault(f"{place}.{misplaced[0]}", f"this goes with the type '{kind}', which the schema does not have")
    if "$ref" in schema:
        _check_reference(schema["$ref"], place, root)
    elif not types and not {"anyOf", "enum", "const"} & schema.keys():
        raise _fault(place, "it says no 'type'")
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        raise _fault(f"{place}.enum", "this must be a list of values, one at least")
    if "object" in types:
        _check_object(schema, place)
    if "array" in types and "items" not in schema:
        raise _fault(place, "an array must say what its 'items' are")


def _check_object(schema: Mapping[str, Any], place: str) -> None:
    if schema.get("additionalProperties", True) is not False:
        raise _fault(f"{place}.additionalProperties", "this must be given, and false, for every object")
    required, properties = schema.get("required", []), schema.get("properties", {})
    if not isinstance(required, list):
        raise _fault(f"{place}.required", "this must be a list of names")
    missing = [name for name in properties if name not in required]
    if missing:
        raise _fault(f"{place}.required", f"this must name every property, and '{missing[0]}' is missing")
    unknown = [name for name in required if name not in properties]
    if unknown:
        raise _fault(f"{place}.required", f"it names '{unknown[0]}', which is no property")


def _types(schema: Mapping[str, Any], place: str) -> list[str]:
    """The types that a schema allows, integers as numbers; empty where it says none."""
    stated = schema.get("type", [])
    types = [stated] if isinstance(stated, str) else stated
    if not isinstance(types, list):
        raise _fault(f"{place}.type", "this must be the name of a type, or a list of such")
    for kind in types:
        if kind != "integer" and kind not in _BY_TYPE:
            raise _fault(f"{place}.type", f"there is no type {kind!r}; known: {', '.join([*_BY_TYPE, 'integer'])}")
    return ["number" if kind == "integer" else kind for kind in types]


def _check_reference(reference: Any, place: str, root: Mapping[str, Any]) -> None:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise _fault(f"{place}.$ref", "a reference must point into this schema: '#', or '#/$defs/NAME'")
    at: Any = root
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, Mapping) or name not in at:
            raise _fault(f"{place}.$ref", f"it points at '{reference}', which is not there")
        at = at[name]


def _digits(number: float) -> int:
    """A number's digits as a whole number: 125 of 12.5, 1 of 0.001; the number itself where it has no point."""
    _, digits, exponent = Decimal(str(number)).as_tuple()
    if not isinstance(exponent, int):
        return 0  # infinite or no number, which JSON does not have
    whole = int("".join(map(str, digits)))
    return whole if exponent <= 0 else whole * int(10 ** min(exponent, 99))


def _kind(value: Any) -> str:
    return {"str": "a text", "list": "a list", "NoneType": "null"}.get(type(value).__name__, f"{value!r}")


def _fault(place: str, what: str) -> InputError:
    return InputError(f"Invalid schema: {what}", where=place)
