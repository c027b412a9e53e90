"""Plug-ins: one file adds one thing, and its file name is its name.

A plug-in is a module inside its room's plug-in package (`data/steps/whitespace.py` is the step `whitespace`), or
an entry point of the group named like that package (`tunewright.data.steps`). It has a class `Config`, derived
from `PluginConfig`, and whatever functions its room's contract asks for. Plug-ins import no torch at module level.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict

from tunewright.base.errors import UnknownNameError


class PluginConfig(BaseModel):
    """Settings of one plug-in: frozen, strict about unknown keys. Every field has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def plugin(self) -> str:
        """The plug-in's name: its field `name`, which each plug-in narrows to its own."""
        return str(self.__dict__["name"])


@dataclass(frozen=True)
class Plugins:
    """The plug-ins of one kind.

    Args:
        kind: What an error calls one of them: "objective", "data step".
        package: The package that holds them: "tunewright.objectives".
    """

    kind: str
    package: str

    @cached_property
    def _places(self) -> dict[str, str]:
        package = importlib.import_module(self.package)
        inside = {
            module.name: f"{self.package}.{module.name}"
            for module in pkgutil.iter_modules(package.__path__)
            if not module.name.startswith("_") and not module.ispkg
        }
        outside = {entry.name: entry.value for entry in entry_points(group=self.package)}
        return {**outside, **inside}

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted."""
        return tuple(sorted(self._places))

    def module(self, name: str) -> ModuleType:
        """The module behind a name.

        Raises:
            UnknownNameError: If nothing is registered under the name.
        """
        if name not in self._places:
            raise UnknownNameError(self.kind, name, self.names())
        return importlib.import_module(self._places[name])

    def config(self, name: str) -> type[PluginConfig]:
        """The settings class of a plug-in."""
        found: type[PluginConfig] = self.module(name).Config
        return found

    def has(self, name: str, function: str) -> bool:
        """Whether a plug-in has one of the functions that its room's contract leaves open."""
        return hasattr(self.module(name), function)

    def call(self, name: str, function: str, *args: Any, **kwargs: Any) -> Any:
        """Calls one of a plug-in's contract functions."""
        return getattr(self.module(name), function)(*args, **kwargs)


# The kinds that a recipe may name. Packages are named as text, so that floor 1 need not import the floors above.
EXPORTS = Plugins("export format", "tunewright.data.exports")
READERS = Plugins("reader", "tunewright.data.readers")
STEPS = Plugins("data step", "tunewright.data.steps")
INSPECTIONS = Plugins("inspection", "tunewright.data.inspections")
AUGMENTATIONS = Plugins("augmentation", "tunewright.data.augmentations")
METHODS = Plugins("method", "tunewright.models.methods")
OBJECTIVES = Plugins("objective", "tunewright.objectives")
OPTIMISERS = Plugins("optimiser", "tunewright.train.optimisers")
METRICS = Plugins("metric", "tunewright.metrics")
PROBES = Plugins("probe", "tunewright.evaluate.probes")
BACKENDS = Plugins("attention backend", "tunewright.forest.backends")
