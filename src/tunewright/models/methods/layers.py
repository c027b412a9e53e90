"""Chosen layers only: the last blocks of the model, weights chosen by name, or both; the rest is frozen.

Blocks at the end take the least: the backward pass stops at the first block that trains.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tunewright.base.errors import ModelError, did_you_mean
from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# As full fine-tuning's: the same weights learn, fewer of them.
LEARNING_RATE = 1e-4

_HEAD = "lm_head.weight"
_BLOCK = re.compile(r"^((?:.*?\.)?(?:layers|layer|h|blocks|block))\.(\d+)\.")


class Config(PluginConfig):
    """Settings of training chosen layers."""

    name: Literal["layers"] = "layers"
    last: int = Field(2, ge=0, description="So many blocks train, counted from the model's end.")
    names: tuple[str, ...] = Field(
        (), description="Weights or modules that train as well, by parts of their names: norm, lm_head, layers.0.mlp."
    )

    @model_validator(mode="after")
    def _something(self) -> Config:
        if not self.last and not self.names:
            raise ValueError("last is 0 and names is empty: nothing would train")
        return self


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Lets the chosen weights train and freezes the rest; returns the model itself. Nothing is random.

    Raises:
        ModelError: If there are fewer blocks than `last`, or a name matches no weight.
    """
    # A tied weight has two names, and either one chooses it.
    weights = list(model.named_parameters(remove_duplicate=False))
    chosen = _chosen(config, [name for name, _ in weights])
    model.requires_grad_(False)
    for name, weight in weights:
        if name in chosen:
            weight.requires_grad_(True)
    return model


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors, an equal share for each block.

    Raises:
        ModelError: If there are fewer blocks than `last`, or a name matches no weight.
    """
    if not size.tensors:
        return config.last * (size.parameters - size.vocabulary * size.hidden) // size.layers
    shapes = dict(size.tensors)
    embedding = next((name for name, shape in shapes.items() if shape == (size.vocabulary, size.hidden)), "")
    tied = _HEAD not in shapes  # then the head is kept in the files under the embedding's name
    chosen = _chosen(config, [*shapes, *([_HEAD] if tied else [])])
    stored = {embedding if tied and name == _HEAD else name for name in chosen}
    return sum(math.prod(shapes[name]) for name in stored)


def save(model: Any, folder: Path) -> None:
    """Writes the weights that train as safetensors, and no others."""
    from tunewright.models.methods import _own_weights

    _own_weights.save(model, folder)


def load(base_model: Any, config: Config, folder: Path) -> Any:
    """Puts trained weights in place of the base's; nothing of it trains.

    Raises:
        ModelError: If the file does not fit the model.
    """
    from tunewright.models.methods import _own_weights

    return _own_weights.load(base_model, folder)


def _chosen(config: Config, names: Iterable[str]) -> set[str]:
    """The full names of the weights that are meant."""
    all_names = list(names)
    blocks = {name: (found[1], int(found[2])) for name in all_names if (found := _BLOCK.match(name))}
    # An encoder-decoder has two stacks; the last blocks are those of its decoder.
    stack = max((stack for stack, _ in blocks.values()), key=lambda stack: ("decoder" in stack, stack), default="")
    count = len({index for where, index in blocks.values() if where == stack})
    if config.last > count:
        raise ModelError(
            f"The last {config.last} blocks cannot train: this model has {count}",
            where="method.last",
            hint=f"Use {count} or less." if count else "Choose weights with method.names.",
        )
    chosen = {name for name, (where, index) in blocks.items() if where == stack and index >= count - config.last}
    for part in config.names:
        matching = {name for name in all_names if f".{part}." in f".{name}."}
        if not matching:
            parts = sorted({piece for name in all_names for piece in name.split(".") if not piece.isdigit()})
            raise ModelError(
                f"'{part}' matches no weight of this model",
                where="method.names",
                hint=f"{did_you_mean(part, parts)}Names are made of: {', '.join(parts)}.",
            )
        chosen |= matching
    return chosen
