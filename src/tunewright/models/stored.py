"""A base's weights as its files hold them, where a model in memory holds them rounded."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open

from tunewright.models.files import tensor_shapes, weight_files

if TYPE_CHECKING:
    from torch import Tensor

_WIDE = ("F32", "F64")  # safetensors' words


class StoredWeights:
    """Looks up weights in a model's files, one at a time.

    Args:
        folder: Holds the safetensors.
        prefix: Of names in the files that the model in memory leaves out, such as `bert`.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self._folder, self._prefix = folder, prefix

    def wider(self, name: str, rounded: Tensor) -> Tensor | None:
        """The weight in float32 at least.

        Args:
            name: The model's own.
            rounded: What the model holds, narrower than float32.
        Returns:
            None where the files hold nothing wider, or what was rounded is something else: weights that have learned.
        """
        place = next((each for each in (name, f"{self._prefix}.{name}") if each in self._places), None)
        if place is None:
            return None
        with safe_open(self._places[place], framework="pt") as file:
            value: Tensor = file.get_tensor(place)
        same = value.shape == rounded.shape and torch.equal(value.to(rounded.dtype), rounded.detach().cpu())
        return value if same else None

    @cached_property
    def _places(self) -> dict[str, Path]:
        """Which file holds each wide weight."""
        return {
            name: file
            for file in weight_files(self._folder)
            for name, (dtype, _) in tensor_shapes(file).items()
            if dtype in _WIDE
        }
