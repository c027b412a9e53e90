"""Stochastic gradient descent with momentum. Keeps one number a weight; none without momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Config(PluginConfig):
    """Settings of SGD. It needs a learning rate of its own: a method's default is meant for AdamW."""

    name: Literal["sgd"] = "sgd"
    momentum: float = Field(0.9, ge=0, lt=1, description="Share of the last step that goes into the next one.")
    nesterov: bool = Field(False, description="Look ahead along the momentum.")


def build(model: nn.Module, config: Config, *, weight_decay: float) -> list[Optimizer]:
    """The optimiser of all weights that are trained; its weight decay is a part of the gradient."""
    from torch.optim import SGD

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [SGD(weights, momentum=config.momentum, nesterov=config.nesterov, weight_decay=weight_decay)]
