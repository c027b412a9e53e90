"""Feature-based: the whole model is frozen, and a head of classes learns from its states.

(Devlin et al. 2018, arXiv:1810.04805, section 5.3, where it comes within a point of training all of BERT.) As nothing
below the head changes, a row's states are computed once in a run, without dropout, and an epoch costs the head alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# As LoRA's: what trains is a fresh head, and it is all there is.
LEARNING_RATE = 1e-3


class Config(PluginConfig):
    """Settings of the feature-based method; it has none."""

    name: Literal["feature"] = "feature"


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Freezes the model; returns the model itself. What trains is the head that the objective puts on it."""
    return model.requires_grad_(False)


def trainable(size: ModelSize, config: Config) -> int:
    """How many of the model's weights it trains: none. The head's own are classes times width, and the biases."""
    return 0


def save(model: Any, folder: Path) -> None:
    """Writes nothing: the head is kept with every adapter, and there is nothing else."""


def load(base_model: Any, config: Config, folder: Path) -> Any:
    """The base as it is; its head is put on with every adapter."""
    return base_model.requires_grad_(False)
