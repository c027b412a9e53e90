"""Several of torch's optimisers as one, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Optimiser:
    """What an optimiser's plug-in built, seen from the loop.

    Args:
        weights: All trained weights, by name.
        parts: Torch's optimisers; each weight belongs to one of them.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], parts: Sequence[Optimizer]) -> None:
        self._parts = parts
        self._names = {id(weight): name for name, weight in weights.items()}

    def zero_grad(self) -> None:
        """Forgets all gradients."""
        for part in self._parts:
            part.zero_grad()

    def step(self, rate: float) -> None:
        """Moves the weights along their gradients, at a learning rate."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()

    def tensors(self) -> dict[str, Tensor]:
        """All state, as `weight|entry`: what `restore` takes. No two of them share memory."""
        found: dict[str, Tensor] = {}
        seen: set[int] = set()
        for part in self._parts:
            for weight, state in part.state.items():
                for entry, value in state.items():
                    tensor = _as_tensor(value)
                    # Tables that all weights look up in are one tensor, and files hold each name's own.
                    found[f"{self._names[id(weight)]}|{entry}"] = (
                        tensor.clone() if tensor.data_ptr() in seen else tensor
                    )
                    seen.add(tensor.data_ptr())
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes up a state, so that the next step is the one that would have followed it."""
        states: dict[str, dict[str, Tensor | int]] = {}
        for key, value in tensors.items():
            name, _, entry = key.rpartition("|")
            states.setdefault(name, {})[entry] = _from_tensor(value)
        for part in self._parts:
            # Through torch's own loading, which knows on which device each entry has to lie.
            names = [self._names[id(weight)] for group in part.param_groups for weight in group["params"]]
            state = {index: states[name] for index, name in enumerate(names) if name in states}
            part.load_state_dict({**part.state_dict(), "state": state})


def _as_tensor(value: Tensor | int) -> Tensor:
    """A step's number is a tensor in some optimisers, and a whole number in others."""
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.int64)


def _from_tensor(value: Tensor) -> Tensor | int:
    return int(value) if value.dtype == torch.int64 and value.ndim == 0 else value
