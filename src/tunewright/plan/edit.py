"""Settings written into a recipe's text: only what changes is touched, so that comments and layout stay."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunewright.base.errors import RecipeError
from tunewright.base.files import write_text
from tunewright.base.plugins import METHODS

_BOM = "\ufeff"
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Edit:
    """A recipe's text before and after.

    Args:
        path: The recipe file.
        before: Its text when it was read.
        after: The text with the new settings.
    """

    path: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What changes, as a unified diff."""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, fromfile=str(self.path), tofile=str(self.path)))

    def write(self) -> None:
        """Puts the new text in the file's place.

        Raises:
            RecipeError: If the file is no longer what was read.
        """
        if read(self.path) != self.before:
            raise RecipeError(
                "This recipe was changed by someone else meanwhile, and is left as it is",
                where=str(self.path),
                hint="Plan again.",
            )
        place = self.path.resolve()  # a link stays a link
        mode = place.stat().st_mode
        write_text(place, self.after)
        place.chmod(mode)


def read(path: Path) -> str:
    """A recipe's text as it is, its line ends and byte order mark included."""
    return path.read_bytes().decode("utf-8")


def edit(path: Path, before: str, fields: Mapping[str, Any]) -> Edit:
    """The text of a recipe with some fields set.

    Args:
        path: The recipe file.
        before: Its text when it was read.
        fields: Dotted names and values: `{"train.node_budget": 512, "method": "qlora"}`.
    Raises:
        RecipeError: If the text is laid out so that it cannot be changed without doubt.
    """
    mark, text = (_BOM, before[1:]) if before.startswith(_BOM) else ("", before)
    wanted: dict[str, Any] = copy.deepcopy(yaml.safe_load(text))
    for name, value in fields.items():
        keys = name.split(".")
        if keys == ["method"]:
            text = _with_method(text, wanted, str(value))
            continue
        if len(keys) == 2 and isinstance(wanted.get(keys[0]), str):  # `method: lora`, and its rank is set
            wanted[keys[0]] = {"name": wanted[keys[0]]}
        _set(wanted, keys, value)
        text = _with_field(text, keys, _dumped(value))
    if _loaded(text) != wanted:
        listed = ", ".join(f"{name}: {value}" for name, value in fields.items())
        raise RecipeError(
            "This recipe is laid out so that it cannot be changed without doubt", where=str(path), hint=f"Set {listed}."
        )
    return Edit(path, before, mark + text)


def _with_field(text: str, keys: list[str], value: str) -> str:
    """The text with a field of one or two keys set."""
    root = _root(text)
    found = _find(root, keys[0])
    if found is None:
        whole = f"{keys[0]}: {value}" if len(keys) == 1 else f"{keys[0]}: {{{keys[1]}: {value}}}"
        block = whole if len(keys) == 1 else f"{keys[0]}:\n{_INDENT}{keys[1]}: {value}"
        return _inserted(text, root, whole) if root.flow_style else _appended(text, block)
    if len(keys) == 1:
        return _replaced(text, found[1], value)
    key, section = found
    if isinstance(section, yaml.MappingNode):
        inner = _find(section, keys[1])
        return _replaced(text, inner[1], value) if inner else _inserted(text, section, f"{keys[1]}: {value}")
    if section.value and section.tag != "tag:yaml.org,2002:null":  # a bare plug-in's name
        return _replaced(text, section, f"{{name: {section.value}, {keys[1]}: {value}}}")
    at = key.end_mark.index + text[key.end_mark.index :].index(":") + 1
    end = section.end_mark.index if section.value else at
    return f"{text[:at]}\n{' ' * key.start_mark.column}{_INDENT}{keys[1]}: {value}{text[end:]}"


def _with_method(text: str, wanted: dict[str, Any], name: str) -> str:
    """The text with another method; settings stay where the new one has them all, else only its name stands."""
    given = wanted.get("method")
    if isinstance(given, dict) and set(given) <= set(METHODS.config(name).model_fields):
        wanted["method"] = {**given, "name": name}
        return _with_field(text, ["method", "name"], name)
    wanted["method"] = name
    found = _find(_root(text), "method")
    if found is None or not isinstance(found[1], yaml.MappingNode):
        return _with_field(text, ["method"], name)
    key, section = found[0], found[1]
    at = key.end_mark.index + text[key.end_mark.index :].index(":") + 1
    end = section.end_mark.index if section.flow_style else section.value[-1][1].end_mark.index
    return f"{text[:at]} {name}{text[end:]}"


def _inserted(text: str, section: yaml.MappingNode, entry: str) -> str:
    """The text with an entry put in front of a mapping's own."""
    at = section.start_mark.index
    if section.flow_style:
        return f"{text[: at + 1]}{entry}{', ' if section.value else ''}{text[at + 1 :]}"
    return f"{text[:at]}{entry}\n{' ' * section.start_mark.column}{text[at:]}"


def _appended(text: str, block: str) -> str:
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{block}\n"


def _replaced(text: str, node: yaml.Node, value: str) -> str:
    space = " " if node.start_mark.index == node.end_mark.index else ""  # an empty value stands right behind its colon
    return f"{text[: node.start_mark.index]}{space}{value}{text[node.end_mark.index :]}"


def _root(text: str) -> yaml.MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise RecipeError("A recipe is a mapping with the keys name, goal and data")
    return root


def _find(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((name, value) for name, value in mapping.value if name.value == key), None)


def _set(mapping: dict[str, Any], keys: list[str], value: Any) -> None:
    if len(keys) == 1:
        mapping[keys[0]] = value
        return
    mapping[keys[0]] = {**(mapping.get(keys[0]) or {}), keys[1]: value}


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _dumped(value: Any) -> str:
    """A plain value in YAML, on one line."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...").strip()
