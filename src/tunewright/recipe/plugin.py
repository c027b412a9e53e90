"""A recipe's field that holds one plug-in's settings: checked by the plug-in's own class, found by its name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler, SerializeAsAny, ValidationError, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from tunewright.base.errors import UnknownNameError
from tunewright.base.plugins import PluginConfig, Plugins


class PluginSettingsError(PydanticCustomError):
    """Faults inside a plug-in's settings, each with its own place below the field, and the class that found them."""

    def __new__(cls, faults: list[ErrorDetails], config: type[PluginConfig]) -> PluginSettingsError:
        text = "; ".join(fault["msg"] for fault in faults)
        return super().__new__(cls, "plugin_faults", "{text}", {"text": text, "faults": faults, "config": config})


def plugin_field(plugins: Plugins, default: str = "") -> Any:
    """A field type: a bare name, or a mapping with `name` and the plug-in's settings.

    Args:
        default: The name where a mapping has none; empty: every mapping must have one.
    """

    def resolve(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, PluginConfig):
            return value
        settings = {"name": value} if isinstance(value, str) else value
        if isinstance(settings, dict) and default:
            settings = {"name": default, **settings}
        if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
            raise ValueError(f"a {plugins.kind} is a name, or a mapping with the key 'name' and its settings")
        try:
            config = plugins.config(settings["name"])
        except UnknownNameError as error:
            # A ValueError, so that it is reported with its line, beside the recipe's other faults.
            raise ValueError(f"{error.what}. {error.hint}") from error
        try:
            # With the recipe's folder: paths in a plug-in's settings are relative to it too.
            return config.model_validate(settings, context=info.context)
        except ValidationError as error:
            raise PluginSettingsError(error.errors(), config) from error

    return Annotated[SerializeAsAny[PluginConfig], BeforeValidator(resolve), _PluginJsonSchema(plugins, default)]


class _PluginJsonSchema:
    """Describes the field by what its plug-ins say of themselves; asks them only when a JSON Schema is made."""

    def __init__(self, plugins: Plugins, default: str) -> None:
        self.plugins, self.default = plugins, default

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "oneOf": [
                {"enum": list(self.plugins.names()), "description": f"The name of a {self.plugins.kind}."},
                *(self._settings(name, handler) for name in self.plugins.names()),
            ]
        }

    def _settings(self, name: str, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(self.plugins.config(name).__pydantic_core_schema__)
        settings = handler.resolve_ref_schema(reference)
        settings["title"] = name
        if name != self.default:
            # Without a name in it, a mapping would fit several plug-ins.
            settings["required"] = sorted({"name", *settings.get("required", [])})
        return reference
