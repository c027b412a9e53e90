"""Prefix tuning (Li & Liang 2021, arXiv:2101.00190), kept in PEFT's format.

Virtual tokens stand in front of every row; their keys and values in every layer are what trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tunewright.models.memory import ModelSize

# Between an embedding's rate and a network's; what PEFT's own examples take.
LEARNING_RATE = 1e-2


class Config(PluginConfig):
    """Settings of prefix tuning."""

    name: Literal["prefix"] = "prefix"
    tokens: int = Field(20, ge=1, description="Virtual tokens in front of every row; they count as context.")
    init: str = Field(
        "",
        description="A text whose tokens' keys and values they begin as, such as a description of the task. "
        "Empty: tokens drawn from the vocabulary.",
    )
    width: int | None = Field(
        None,
        ge=1,
        description="Inner width of a network that makes keys and values in training, as in the paper; it begins at "
        "random. Empty: they are trained themselves.",
    )

    @model_validator(mode="after")
    def _one_beginning(self) -> Config:
        if self.init and self.width:
            raise ValueError("'init' and 'width' exclude each other: a network begins at random")
        return self


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Puts keys and values of virtual tokens in front of a frozen base's own, in every layer.

    They begin as those of real tokens at the same positions, which the paper found to be far better than random ones.

    Raises:
        ModelError: If the base is no causal decoder, its layers differ in shape, or the text does not fit.
    """
    import torch
    from peft import PrefixTuningConfig

    from tunewright.models.methods import _virtual

    settings = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=config.tokens)
    if config.width is not None:
        settings.prefix_projection, settings.encoder_hidden_size = True, config.width
    wrapped = _virtual.attach(model, settings, seed)
    if config.width is None:
        kept_PX = _keys_and_values(model, _virtual.beginning(model, config.tokens, config.init, seed))
        with torch.no_grad():
            wrapped.prompt_encoder["default"].embedding.weight.copy_(kept_PX)
    return wrapped


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains, the network's included."""
    kept = 2 * size.layers * size.key_width
    if config.width is None:
        return config.tokens * kept
    return config.tokens * size.key_width + (size.key_width + 1) * config.width + (config.width + 1) * kept


def _keys_and_values(model: Any, token_P: Tensor) -> Tensor:
    """Every layer's keys and values of a row of tokens, in PEFT's order: shape (P, layers * 2 * heads * width)."""
    import torch
    from transformers import DynamicCache

    attention, cache = model.config._attn_implementation, DynamicCache()
    # A model prepared for forests knows no plain rows, and this is one.
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            model.base_model(input_ids=token_P[None], past_key_values=cache, use_cache=True)
    finally:
        model.set_attn_implementation(attention)
    kept = [half[0] for layer in cache.layers for half in (layer.keys, layer.values)]  # each (G, P, D)
    if len({half.shape for half in kept}) != 1:
        raise ModelError(
            "The layers of this model differ in shape, so that one prefix does not fit all",
            where="method",
            hint="Use method: prompt.",
        )
    return torch.stack(kept).permute(2, 0, 1, 3).flatten(1)
