"""Which runs may begin from each other's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.base.files import hash_value
from tunewright.recipe.schema import Recipe

# Of the settings under `train`, those that decide what a checkpoint's tensors are, and which rows the steps behind it
# have seen. The rate, its schedule, clipping and the like may differ: they are about the steps to come.
SHARED = ("objective", "epochs", "batch_size", "optimiser", "best")


def kin(recipe: Recipe, tables: Sequence[str], weights_hash: str) -> str:
    """What runs must share to begin from each other's checkpoints, as a hash.

    Args:
        recipe: The run's.
        tables: What its rows' tokens are known by.
        weights_hash: Its base's.
    """
    asked: Any = {"seed": True, "adapter": True, "method": True, "forgetting": True, "train": set(SHARED)}
    return hash_value([recipe.model_dump(mode="json", include=asked), list(tables), weights_hash])
