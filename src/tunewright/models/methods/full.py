"""Full fine-tuning: every weight of the model trains.

Nothing of the base is left to switch off or to share, and the result is as large as the base.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# A tenth of LoRA's ("LoRA Without Regret", 2025).
LEARNING_RATE = 1e-4


class Config(PluginConfig):
    """Settings of full fine-tuning; it has none."""

    name: Literal["full"] = "full"


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Lets every weight train; returns the model itself. Nothing is random."""
    return model.requires_grad_(True)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains: all, tied ones counted once."""
    return size.parameters


def save(model: Any, folder: Path) -> None:
    """Writes all weights as safetensors, tied ones once."""
    from tunewright.models.methods import _own_weights

    _own_weights.save(model, folder)


def load(base_model: Any, config: Config, folder: Path) -> Any:
    """Puts trained weights in place of the base's; nothing of it trains.

    Raises:
        ModelError: If the file does not fit the model.
    """
    from tunewright.models.methods import _own_weights

    return _own_weights.load(base_model, folder)
