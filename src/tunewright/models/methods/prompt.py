"""Prompt tuning (Lester et al. 2021, arXiv:2104.08691), kept in PEFT's format.

Virtual tokens stand in front of every row; their embeddings are all that trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# Embeddings have far to go, and nothing else moves: what PEFT's own examples take.
LEARNING_RATE = 3e-2


class Config(PluginConfig):
    """Settings of prompt tuning."""

    name: Literal["prompt"] = "prompt"
    tokens: int = Field(20, ge=1, description="Virtual tokens in front of every row; they count as context.")
    init: str = Field(
        "",
        description="A text whose tokens' embeddings they begin as, such as a description of the task. "
        "Empty: tokens drawn from the vocabulary.",
    )


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Puts virtual tokens in front of a frozen base; they begin as the embeddings of real ones.

    Raises:
        ModelError: If the base is no causal decoder, or the text to begin with does not fit.
    """
    import torch
    from peft import PromptTuningConfig

    from tunewright.models.methods import _virtual

    settings = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=config.tokens)
    wrapped = _virtual.attach(model, settings, seed)
    token_P = _virtual.beginning(model, config.tokens, config.init, seed)
    with torch.no_grad():
        wrapped.prompt_encoder["default"].embedding.weight.copy_(wrapped.get_input_embeddings()(token_P))
    return wrapped


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains."""
    return config.tokens * size.hidden
