"""AdamW with its two numbers a weight in 8 bits each (Dettmers et al. 2022, arXiv:2110.02861), by bitsandbytes.

Numbers are quantised in blocks of 256. A weight of fewer than 4,096 numbers is kept in 32 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tunewright.base.errors import MissingExtraError
from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Config(PluginConfig):
    """Settings of AdamW in 8 bits."""

    name: Literal["adamw8bit"] = "adamw8bit"
    beta1: float = Field(0.9, ge=0, lt=1, description="Memory of the mean of the gradients.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Memory of the mean of their squares.")
    eps: float = Field(1e-8, gt=0, description="Added to the root of the latter, against division by zero.")


def build(model: nn.Module, config: Config, *, weight_decay: float) -> list[Optimizer]:
    """The optimiser of all weights that are trained.

    Raises:
        MissingExtraError: If bitsandbytes is not installed.
    """
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise MissingExtraError("bitsandbytes", extra="quantise", needed_for="The optimiser 'adamw8bit'") from error
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [AdamW8bit(weights, betas=(config.beta1, config.beta2), eps=config.eps, weight_decay=weight_decay)]
