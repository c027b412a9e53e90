"""Adafactor (Shazeer and Stern 2018, arXiv:1804.04235): a matrix's second moments as a row and a column.

Keeps rows + columns numbers for a matrix of rows x columns, where AdamW keeps twice their product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Config(PluginConfig):
    """Settings of Adafactor."""

    name: Literal["adafactor"] = "adafactor"
    beta2_decay: float = Field(-0.8, le=0, description="The memory of squares is 1 - step ** this.")
    clip_update: float = Field(1.0, ge=1, description="Largest root mean square of a weight's update, before the rate.")
    smallest_scale: float = Field(
        1.0,
        gt=0,
        description="An update is scaled by its weight's root mean square, or by this where that is less. With 1 the "
        "learning rate means about what it means to AdamW; the paper's 0.001 hardly moves weights that start at zero.",
    )


def build(model: nn.Module, config: Config, *, weight_decay: float) -> list[Optimizer]:
    """The optimiser of all weights that are trained."""
    from torch.optim import Adafactor

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    eps = (None, config.smallest_scale)
    return [
        Adafactor(weights, beta2_decay=config.beta2_decay, eps=eps, d=config.clip_update, weight_decay=weight_decay)
    ]
