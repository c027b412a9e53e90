"""A mixture of LoRA experts with a router (Zadouri et al. 2023, arXiv:2309.05444).

Each chosen linear layer gets several low-rank updates; a router weighs them for each token by a softmax over the
experts. By default all are mixed, as in the paper, where that did better than choosing some of them. Where few of many
are chosen, each token's gradient reaches those few alone, and a balance loss keeps the others from being forgotten.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from tunewright.base.errors import ModelError
from tunewright.models.methods._peft import LowRank, chosen_layers, linear_shapes, low_rank_parameters

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize
    from tunewright.models.methods._molora_linear import MixtureLinear

# As LoRA's.
LEARNING_RATE = 1e-3
_BALANCE = 0.01


class Config(LowRank):
    """Settings of a mixture of LoRA experts."""

    name: Literal["molora"] = "molora"
    experts: int = Field(4, ge=2, description="Low-rank updates of each layer, which its router mixes.")
    rank: int = Field(4, ge=1, description="Inner width of each expert.")
    top_k: int | None = Field(None, ge=1, description="Experts that a token uses. Empty: all, mixed by their weights.")

    balance: float | None = Field(
        None,
        ge=0,
        description="Weight of the loss that spreads tokens evenly over each router's experts. Empty: 0.01 where top_k "
        "chooses some, 0 where all are mixed.",
    )

    @property
    def balance_weight(self) -> float:
        """The weight, settled: where experts are chosen, Switch Transformer's."""
        if self.balance is not None:
            return self.balance
        return _BALANCE if (self.top_k or self.experts) < self.experts else 0.0

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> Self:
        if self.top_k is not None and self.top_k > self.experts:
            raise ValueError(f"top_k is {self.top_k}, and there are {self.experts} experts")
        return self


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Puts fresh experts and routers beside the chosen layers, the only parts that train.

    The experts' second matrices are zero, so the outputs are the base's at first.

    Raises:
        ModelError: If a target matches no layer, the rank is above a layer's width, or experts are to be balanced in an
            encoder-decoder.
    """
    from tunewright.models.methods._added import adapt
    from tunewright.models.methods._balance import Balance
    from tunewright.models.methods._molora_linear import MixtureLinear
    from tunewright.models.methods._peft import check_rank

    def make(layer: nn.Linear) -> MixtureLinear:
        return MixtureLinear(
            layer,
            experts=config.experts,
            rank=config.rank,
            scale=config.scale / config.rank,
            top_k=config.top_k or config.experts,
            dropout=config.dropout,
        )

    if config.balance_weight and getattr(model.config, "is_encoder_decoder", False):
        raise ModelError(
            "Experts are balanced over a forest's nodes, and an encoder-decoder computes padded rows",
            where="method.balance",
            hint="Set it to 0, or mix all experts (leave method.top_k out).",
        )
    layers = chosen_layers(model, config.targets)
    check_rank(layers, config.rank)
    adapted = adapt(model, list(layers), make, seed)
    if config.balance_weight:
        mixtures = [module for module in adapted.modules() if isinstance(module, MixtureLinear)]
        adapted.penalty = Balance(mixtures, config.balance_weight)
    return adapted


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors, an estimate that takes half of all widths for inputs."""
    if not size.tensors:
        return config.experts * (low_rank_parameters(size, config) + size.linear_widths // 2)
    inputs = sum(width for _, width in linear_shapes(size, config.targets))
    return config.experts * (low_rank_parameters(size, config) + inputs)


def save(model: Any, folder: Path) -> None:
    """Writes the experts' and routers' weights as safetensors."""
    from tunewright.models.methods import _added

    _added.save(model, folder)


def load(base_model: Any, config: Config, folder: Path) -> Any:
    """Puts saved experts on a base model, which is changed in place; nothing of it trains.

    Raises:
        ModelError: If the file does not fit the model and the settings.
    """
    from tunewright.models.methods import _added

    return _added.load(attach(base_model, config, seed=0), folder)
