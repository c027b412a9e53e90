"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/): each matrix's momentum, made orthogonal.

Only matrices inside the network are moved so. Embeddings, the output layer and everything that is no matrix go to
AdamW. Updates are scaled to the size of AdamW's (Liu et al. 2025, arXiv:2502.16982), so that both share one learning
rate. Keeps one number a weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch.optim import Optimizer


class Config(PluginConfig):
    """Settings of Muon, and of the AdamW beside it."""

    name: Literal["muon"] = "muon"
    momentum: float = Field(0.95, ge=0, lt=1, description="Memory of the mean of the gradients.")
    nesterov: bool = Field(True, description="Look ahead along the momentum.")
    iterations: int = Field(5, ge=1, le=20, description="Newton-Schulz iterations that make a matrix orthogonal.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's memory of the mean of the gradients.")
    beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's memory of the mean of their squares.")
    eps: float = Field(1e-8, gt=0, description="AdamW's guard against division by zero.")


def build(model: Any, config: Config, *, weight_decay: float) -> list[Optimizer]:
    """Muon over the matrices, AdamW over the rest; either is left out where it has nothing to do."""
    from torch.optim import AdamW, Muon

    tables = _tables(model)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in tables]
    rest = [weight for weight in trained if weight.ndim != 2 or id(weight) in tables]
    parts: list[Optimizer] = []
    if matrices:
        muon = Muon(
            matrices,
            weight_decay=weight_decay,
            momentum=config.momentum,
            nesterov=config.nesterov,
            ns_steps=config.iterations,
            adjust_lr_fn="match_rms_adamw",
        )
        parts.append(muon)
    if rest:
        betas = (config.beta1, config.beta2)
        parts.append(AdamW(rest, betas=betas, eps=config.eps, weight_decay=weight_decay, fused=True))
    return parts


def _tables(model: Any) -> set[int]:
    """Ids of the weights inside embeddings and the output layer: rows that are looked up, not products."""
    from torch import nn

    from tunewright.models.heads import ClassHead

    modules = [module for module in model.modules() if isinstance(module, nn.Embedding | ClassHead)]
    if hasattr(model, "get_output_embeddings"):
        modules.append(model.get_output_embeddings())
    return {id(weight) for module in modules if module is not None for weight in module.parameters()}
