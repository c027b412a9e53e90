"""Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685), through PEFT.

Each chosen linear layer W gets an update B A scaled by alpha / rank; W stays frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tunewright.models.methods._peft import (
    LowRank,
    fused,
    linear_layers,
    low_rank_parameters,
    low_rank_settings,
    wrap,
)

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

__all__ = ["LEARNING_RATE", "Config", "attach", "fused", "linear_layers", "trainable"]

# Ten times what suits full fine-tuning, and nearly independent of the rank ("LoRA Without Regret", 2025).
LEARNING_RATE = 1e-3


class Config(LowRank):
    """Settings of LoRA."""

    name: Literal["lora"] = "lora"


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Wraps a frozen base with a fresh adapter, the only part that trains. A is random by the seed, B is zero.

    Raises:
        ModelError: If a target matches no layer, or the rank is above the width of one.
    """
    return wrap(model, fused(low_rank_settings(model, config)), seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors and with chosen targets, at most so many."""
    return low_rank_parameters(size, config)
