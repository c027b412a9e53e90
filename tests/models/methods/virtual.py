"""Models with virtual tokens, made on the spot, and what plain rows say of them."""

from __future__ import annotations

import copy
from typing import Any

import torch

from tests.tiny import tiny_model
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.forest.layout import adopt
from tunewright.models.methods import prefix, prompt, ptuning

CONFIGS: dict[str, PluginConfig] = {
    "prompt": prompt.Config(tokens=5),
    "ptuning": ptuning.Config(tokens=5),
    "ptuning-lstm": ptuning.Config(tokens=5, encoder="lstm", width=12),
    "prefix": prefix.Config(tokens=5),
    "prefix-network": prefix.Config(tokens=5, width=12),
}


def attached(config: PluginConfig, base: Any = None, seed: int = 1) -> Any:
    """A model with virtual tokens, in evaluation mode and on transformers' own attention."""
    return METHODS.call(config.plugin, "attach", tiny_model() if base is None else base, config, seed).eval()


def both(config: PluginConfig, base: Any = None) -> tuple[Any, Any]:
    """The same model twice: stock attention, and the forest's."""
    stock = attached(config, base)
    ours = copy.deepcopy(stock)
    adopt(ours)
    return stock, ours


def plain_logits(model: Any, tokens: list[int]) -> torch.Tensor:
    """Logits of one row through PEFT's own forward pass, those of virtual tokens left out: shape (T, V)."""
    logits: torch.Tensor = model(input_ids=torch.tensor([tokens])).logits[0]
    return logits[len(logits) - len(tokens) :]


def greedy(model: Any, prompt: list[int], limit: int, stop: int) -> list[int]:
    """The most probable next token, again and again, each time through the whole row."""
    answer: list[int] = []
    while len(answer) < limit and answer[-1:] != [stop]:
        with torch.no_grad():
            answer.append(int(plain_logits(model, [*prompt, *answer])[-1].argmax()))
    return answer
