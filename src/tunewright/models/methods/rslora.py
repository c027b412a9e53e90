"""Rank-stabilised LoRA (Kalajdzievski 2023, arXiv:2312.03732), through PEFT.

LoRA with the update scaled by alpha / sqrt(rank): with alpha / rank, the update of a large rank hardly learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.models.methods._peft import LowRank, fused, low_rank_parameters, low_rank_settings, wrap

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# As LoRA's: at rank 16 both scale their update by 2.
LEARNING_RATE = 1e-3


class Config(LowRank):
    """Settings of rank-stabilised LoRA."""

    name: Literal["rslora"] = "rslora"
    alpha: int | None = Field(
        None, ge=1, description="Scale of the update, over the root of the rank. Empty: 8, whatever the rank."
    )

    @property
    def scale(self) -> int:
        """The alpha that PEFT is given."""
        return 8 if self.alpha is None else self.alpha


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Wraps a frozen base with a fresh adapter, the only part that trains. A is random by the seed, B is zero.

    Raises:
        ModelError: If a target matches no layer, or the rank is above the width of one.
    """
    return wrap(model, fused(low_rank_settings(model, config, use_rslora=True)), seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors and with chosen targets, at most so many."""
    return low_rank_parameters(size, config)
