"""What must be in memory for a model to answer, and how much room it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import ModelError
from tunewright.base.files import read_json
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.lifecycle.serving.names import Served
from tunewright.models.adapters import MANIFEST
from tunewright.models.files import BaseFiles, read_config
from tunewright.models.resolve import find_here
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace

#: `shared`: an engine with a bank of adapters; `own`: an engine for one fine-tuned model; `direct`: names classes,
#: without an engine; `encoder`: a text encoder.
Kind = Literal["shared", "own", "direct", "encoder"]
_BYTES = {"float32": 4, "bfloat16": 2}
_FOLLOWING = ("dynamic", "longrope")


@dataclass(frozen=True)
class Needs:
    """What a model needs.

    Args:
        kind: What computes it.
        served: What was asked for.
        files: The base.
        adapter: The adapter's folder; None for a base.
        recipe: By which it was made; None for a base.
        dtype: In which it computes.
        method: What the base is prepared by before an adapter is put on it (quantised); None for nothing.
    """

    kind: Kind
    served: Served
    files: BaseFiles
    adapter: Path | None
    recipe: Recipe | None
    dtype: str
    method: PluginConfig | None = None

    @property
    def has_engine(self) -> bool:
        """Whether an engine computes it."""
        return self.kind in ("shared", "own")

    @property
    def joins(self) -> bool:
        """Whether it is an adapter in a shared engine's bank."""
        return self.kind == "shared" and self.adapter is not None

    @property
    def label(self) -> str:
        """What errors call it."""
        return self.served.name

    @cached_property
    def key(self) -> str:
        """What is in memory once for all that have the same."""
        parts: list[Any] = [self.kind, self.files.weights_hash, self.dtype]
        if self.kind == "shared":
            parts += [getattr(self.method, "bits", ""), self.longest]
        elif self.adapter is not None:
            parts.append(self.served.adapter)
        return json.dumps(parts)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row that was learned, where the base's positions follow the longest row; else 0."""
        if self.recipe is None:
            return 0
        config = read_config(self.files.folder)
        scaling = json.dumps([config.get("rope_scaling"), config.get("rope_parameters")])
        return self.recipe.longest if any(word in scaling for word in _FOLLOWING) else 0

    @cached_property
    def size(self) -> int:
        """Bytes of the weights."""
        from tunewright.models.memory import model_size

        return model_size(self.files.folder).parameters * _BYTES[self.dtype] + (0 if self.joins else self.adapter_size)

    @cached_property
    def adapter_size(self) -> int:
        """Bytes of the adapter's weights."""
        return 0 if self.adapter is None else sum(file.stat().st_size for file in self.adapter.glob("*.safetensors"))

    def packs(self, device: str) -> bool:
        """Whether an engine of it may hold the weights a second time, in a processor's order (`models.packing`)."""
        from tunewright.models.device import pick_device
        from tunewright.models.packing import packs

        plain = self.has_engine and self.method is None
        return plain and packs(self.size, self.dtype, device or pick_device())

    def prepare(self, model: Any) -> None:
        """Quantises a base that was loaded, where the method does."""
        if self.method is not None:
            METHODS.call(self.method.plugin, "prepare", model, self.method)

    def alone(self) -> Needs:
        """The same in an engine of its own."""
        return replace(self, kind="own")


def needs_of(workspace: Workspace, served: Served) -> Needs:
    """What a model needs.

    Raises:
        ModelError: If its base is not on this machine, or is not the one that it was trained on.
    """
    files = find_here(served.base, workspace.cache)
    if served.base_hash != files.weights_hash:
        raise ModelError(
            f"It was trained on {served.base} with weights {served.base_hash[:12]}, and those here are "
            f"{files.weights_hash[:12]}",
            where=served.name,
            hint="Put the base model back as it was, or train again.",
        )
    if served.kind == "embedding":
        return Needs("encoder", served, files, None, None, "float32")
    if not served.adapter:
        from tunewright.models.base import pick_dtype

        return Needs("shared", served, files, None, None, pick_dtype())
    adapter = workspace.artifact(served.adapter, "adapter").path
    recipe = recipe_from_mapping(served.recipe, where=f"recipe of {served.name}")
    manifest = read_json(adapter / MANIFEST) if (adapter / MANIFEST).exists() else {}
    kind = _kind(files, adapter, manifest)
    return Needs(kind, served, files, adapter, recipe, served.template["dtype"], _preparing(manifest))


def _kind(files: BaseFiles, adapter: Path, manifest: Mapping[str, Any]) -> Kind:
    if manifest.get("heads"):
        return "direct"
    settings = adapter / "adapter_config.json"
    is_lora = settings.exists() and read_json(settings).get("peft_type") == "LORA"
    return "shared" if is_lora and files.kind == "causal-lm" else "own"


def _preparing(manifest: Mapping[str, Any]) -> PluginConfig | None:
    method = manifest.get("method")
    if method is None or not METHODS.has(method["name"], "prepare"):
        return None
    return METHODS.config(method["name"]).model_validate(method)
