"""Weight-decomposed low-rank adaptation (Liu et al. 2024, arXiv:2402.09353), through PEFT.

A layer's weight is taken apart into the length and the direction of each output's row: LoRA updates the direction, and
one trained number per output is the length. Takes more time and memory than LoRA: the norms of all updated weights
are computed at each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tunewright.models.methods._peft import LowRank, linear_shapes, low_rank_parameters, low_rank_settings, wrap

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# As LoRA's.
LEARNING_RATE = 1e-3


class Config(LowRank):
    """Settings of DoRA."""

    name: Literal["dora"] = "dora"


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Wraps a frozen base with a fresh adapter, the only part that trains. A is random by the seed, B is zero.

    Raises:
        ModelError: If a target matches no layer, or the rank is above the width of one.
    """
    return wrap(model, low_rank_settings(model, config, use_dora=True), seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors, an estimate that takes half of all widths for outputs."""
    if not size.tensors:
        return low_rank_parameters(size, config) + size.linear_widths // 2
    return low_rank_parameters(size, config) + sum(outputs for outputs, _ in linear_shapes(size, config.targets))
