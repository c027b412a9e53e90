"""P-tuning (Liu et al. 2021, arXiv:2103.10385), kept in PEFT's format.

Virtual tokens stand in front of every row, and a small network makes their embeddings. What is saved are the
embeddings; the network only helps them to train.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from tunewright.models.memory import ModelSize

LSTM_LAYERS = 2
# The network's weights are like any others; what PEFT's own examples take.
LEARNING_RATE = 1e-3


class Config(PluginConfig):
    """Settings of P-tuning."""

    name: Literal["ptuning"] = "ptuning"
    tokens: int = Field(20, ge=1, description="Virtual tokens in front of every row; they count as context.")
    encoder: Literal["mlp", "lstm"] = Field(
        "mlp", description="The network: three linear layers, or a two-way LSTM before two, as in the paper."
    )
    width: int | None = Field(None, ge=1, description="The network's inner width. Empty: the model's own.")


def attach(model: Any, config: Config, seed: int) -> Any:
    """Puts virtual tokens and their network in front of a frozen base, random by the seed.

    Raises:
        ModelError: If the base is no causal decoder.
    """
    from peft import PromptEncoderConfig

    from tunewright.models.methods import _virtual

    settings = PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=config.tokens,
        encoder_reparameterization_type=config.encoder.upper(),
        encoder_hidden_size=config.width or model.config.get_text_config().hidden_size,
        encoder_num_layers=LSTM_LAYERS,
    )
    return _virtual.attach(model, settings, seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains, the network's included."""
    outer, inner = size.hidden, config.width or size.hidden
    embedding = config.tokens * outer
    if config.encoder == "mlp":
        return embedding + (outer + 1) * inner + (inner + 1) * inner + (inner + 1) * outer
    # Each direction of each layer has four gates, which read the layer's input and its own last state, and two biases.
    lstm = sum(2 * 4 * inner * (width + inner + 2) for width in (outer, *[2 * inner] * (LSTM_LAYERS - 1)))
    return embedding + lstm + (2 * inner + 1) * 2 * inner + (2 * inner + 1) * outer
