"""What the tests of methods of our own share."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tests.tiny import tiny_model
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.models.adapters import load_adapter, save_adapter

TOKENS = torch.tensor([[5, 3, 8, 4, 9, 6, 2, 7], [7, 7, 1, 30, 9, 200, 2, 4]])
FILES = SimpleNamespace(name="tiny", weights_hash="0" * 64)


def attached(config: PluginConfig, base: Any = None, *, seed: int = 1) -> Any:
    """A base with a fresh adapter; a tiny Llama where none is given."""
    return METHODS.call(config.plugin, "attach", tiny_model() if base is None else base, config, seed)


def randomised(model: Any, seed: int = 2) -> Any:
    """All that trains drawn at random: at zero, half of the gradients vanish and prove nothing."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = torch.randn(weight.shape, generator=generator, dtype=weight.dtype) * 0.1
    return model


def logits(model: Any) -> torch.Tensor:
    result: torch.Tensor = model(input_ids=TOKENS).logits
    return result


def gradients(model: Any) -> dict[str, torch.Tensor]:
    """Of the summed log-probability of the next tokens, for all that trains."""
    model.zero_grad()
    logp = logits(model).double()[:, :-1].log_softmax(-1)
    logp.gather(2, TOKENS[:, 1:, None]).sum().backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}


def saved(model: Any, folder: Path, config: PluginConfig) -> Path:
    folder.mkdir()
    save_adapter(model, folder, method=config, base=FILES, chat_fingerprint="")
    return folder


def loaded(folder: Path, base: Any = None) -> Any:
    base = SimpleNamespace(model=tiny_model() if base is None else base, files=FILES)
    return load_adapter(base, folder)  # type: ignore[arg-type]


def forest_pair(config: PluginConfig, *, random: bool = True) -> tuple[Any, Any]:
    """The same model twice: stock attention, and the forest's. At random, or as it begins."""
    from tunewright.forest.layout import adopt

    stock = randomised(attached(config)) if random else attached(config)
    ours = copy.deepcopy(stock)
    adopt(ours)
    return stock, ours
