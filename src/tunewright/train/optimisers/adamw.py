"""AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), torch's fused kernel. Keeps two numbers a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Config(PluginConfig):
    """Settings of AdamW."""

    name: Literal["adamw"] = "adamw"
    beta1: float = Field(0.9, ge=0, lt=1, description="Memory of the mean of the gradients.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Memory of the mean of their squares.")
    eps: float = Field(1e-8, gt=0, description="Added to the root of the latter, against division by zero.")


def build(model: nn.Module, config: Config, *, weight_decay: float) -> list[Optimizer]:
    """The optimiser of all weights that are trained."""
    from torch.optim import AdamW

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    betas = (config.beta1, config.beta2)
    return [AdamW(weights, betas=betas, eps=config.eps, weight_decay=weight_decay, fused=True)]
