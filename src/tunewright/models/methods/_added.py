"""What methods of our own add to a model: layers beside its linear layers, switched on and off, and kept on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunewright.base.errors import ModelError

FILE = "adapter.safetensors"


class AddedLinear(nn.Module, ABC):
    """A linear layer of the base, `base_layer`, and beside it what a method adds, which alone trains.

    Args:
        base_layer: The layer that it stands for.
    """

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.enabled = True

    @property
    def weight(self) -> Tensor:
        """The base's matrix; T5 asks its layers for it."""
        return self.base_layer.weight

    @property
    def trained_dtype(self) -> torch.dtype:
        """The dtype of what is added: float32 at least, since small steps on narrower weights are rounded away."""
        return torch.promote_types(self.base_layer.weight.dtype, torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (..., I) to (..., O)."""
        y: Tensor = self.base_layer(x)
        return y + self.update(x, y) if self.enabled else y

    @abstractmethod
    def update(self, x: Tensor, y: Tensor) -> Tensor:
        """What is added to the base's result, in its dtype.

        Args:
            x: What the layer reads, shape (..., I).
            y: The base's result, shape (..., O).
        """

    def added(self) -> dict[str, nn.Parameter]:
        """The added weights by name."""
        return {name: weight for name, weight in self.named_parameters() if not name.startswith("base_layer.")}


class Adapted(nn.Module):
    """A model some of whose linear layers are `AddedLinear`; called, unwrapped and switched off as PEFT's are.

    Attributes:
        penalty: What the method adds to the loss (`train.penalty.Penalty`); None for most.
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base
        self.penalty: Any = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model itself gives."""
        return self.base(*args, **kwargs)

    def get_base_model(self) -> nn.Module:
        """The transformers model, with what was added inside."""
        return self.base

    def get_input_embeddings(self) -> Any:
        """The transformers model's."""
        return self.base.get_input_embeddings()  # type: ignore[operator]

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """The model computes as its base while open, and what was added does not train."""
        layers = list(_layers(self.base).values())
        before = [(layer, layer.enabled, {w: w.requires_grad for w in layer.added().values()}) for layer in layers]
        try:
            for layer in layers:
                layer.enabled = False
                for weight in layer.added().values():
                    weight.requires_grad_(False)
            yield
        finally:
            for layer, enabled, trains in before:
                layer.enabled = enabled
                for weight, value in trains.items():
                    weight.requires_grad_(value)


def adapt(model: nn.Module, names: list[str], make: Callable[[nn.Linear], AddedLinear], seed: int) -> Adapted:
    """Freezes a model and replaces some of its linear layers, which is done in place.

    Args:
        names: Full names of the layers.
        make: Gives the layer that replaces one. Called in the order of `names`, random numbers following the seed.
    """
    model.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name in names:
            layer: Any = model.get_submodule(name)
            model.set_submodule(name, make(layer).to(layer.weight.device).train(layer.training))
    return Adapted(model)


def save(model: Adapted, folder: Path) -> None:
    """Writes what was added; the same weights give the same bytes."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in _weights(model).items()}
    save_file(weights, folder / FILE, metadata={"format": "pt"})


@torch.no_grad()
def load(model: Adapted, folder: Path) -> Adapted:
    """Fills a freshly adapted model with what `save` wrote; nothing of it trains.

    Raises:
        ModelError: If the file is missing or damaged, or holds the weights of another method, setting or model.
    """
    file = folder / FILE
    try:
        saved = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The adapter's weights cannot be read ({error})", where=str(file)) from error
    weights = _weights(model)
    if fault := _mismatch(weights, saved):
        raise ModelError(
            f"The adapter's weights are not those of this method on this model: {fault}",
            where=str(file),
            hint="Load it on the base, and with the settings, that it was trained with.",
        )
    for name, weight in weights.items():
        weight.copy_(saved[name])
    return model.requires_grad_(False)


def _layers(model: nn.Module) -> dict[str, AddedLinear]:
    """By full name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, AddedLinear)}


def _weights(model: Adapted) -> dict[str, nn.Parameter]:
    """All that was added, by its full name in the transformers model."""
    layers = _layers(model.get_base_model())
    return {f"{place}.{name}": weight for place, layer in layers.items() for name, weight in layer.added().items()}


def _mismatch(weights: dict[str, nn.Parameter], saved: dict[str, Tensor]) -> str:
    """The first difference in names or shapes; empty if there is none."""
    for name in sorted({*weights, *saved}):
        if name not in saved or name not in weights:
            return f"{name} is in the {'model' if name in weights else 'file'} only"
        here, there = tuple(weights[name].shape), tuple(saved[name].shape)
        if here != there:
            return f"{name} has shape {there} in the file and {here} in the model"
    return ""
