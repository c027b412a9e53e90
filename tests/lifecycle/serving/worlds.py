"""A workspace with a tiny base and adapters of it, whose weights are drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.tiny import tiny_folder
from tunewright.base.plugins import METHODS
from tunewright.lifecycle.serving.names import Served, add_model, set_alias
from tunewright.models.adapters import save_adapter
from tunewright.models.base import load_base
from tunewright.models.resolve import resolve
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

BASE = "tiny"


def make_workspace(folder: Path) -> Workspace:
    """A workspace in which a tiny base answers to the name `tiny`."""
    tiny_folder(folder / "base", 1)
    workspace = Workspace.open(folder / "ws")
    set_alias(workspace, BASE, str(folder / "base"))
    return workspace


def add_adapter(
    workspace: Workspace,
    name: str,
    *,
    method: str = "lora",
    seed: int = 5,
    template: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    project: str = "default",
    **settings: Any,
) -> Served:
    """Serves an adapter on the tiny base under a name.

    Args:
        template: Fields of the release's template to be other than a plain chat's.
        data: Fields of the recipe's data likewise.
    """
    place = workspace.root.parent / "base"
    files = resolve(str(place), workspace.cache)
    base = load_base(files)
    config = METHODS.config(method)(**settings)
    model = METHODS.call(method, "attach", base.model, config, 0)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    fingerprint = base.chat.fingerprint

    def fill(folder: Path) -> None:
        save_adapter(model, folder, method=config, base=files, chat_fingerprint=fingerprint)

    stored = workspace.put("adapter", fill, manifest={})
    recipe = recipe_from_mapping(
        {
            "name": "desk",
            "goal": "g",
            "base": str(place),
            "data": {"train": str(place / "rows.jsonl"), "format": "chat", "steps": ["whitespace"], **(data or {})},
            "method": config.model_dump(),
        },
        where="recipe.yaml",
    )
    said = {
        "format": "chat",
        "classes": [],
        "template": None,
        "system": "",
        "tools": [],
        "documents": False,
        "chat_template": base.chat.template,
        "chat_fingerprint": fingerprint,
        "max_new_tokens": 8,
        "dtype": "float32",
        **(template or {}),
    }
    return add_model(
        workspace,
        name,
        base=str(place),
        base_hash=files.weights_hash,
        adapter=stored.hash,
        template=said,
        recipe=recipe.model_dump(mode="json"),
        parent=BASE,
        owner="acme",
        job="ftjob-1",
        project=project,
    )
