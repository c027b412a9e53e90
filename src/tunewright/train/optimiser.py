"""Several of torch's optimisers as one, what they move, and their state as named tensors.

Weights narrower than float32 are not moved themselves: most steps would be rounded away (bfloat16 keeps 8 significant
bits, so that a step below 1/512 of a weight is lost). A float32 copy of each, its master, is moved in its place and
rounded into the model after each step (Micikevicius et al. 2018, arXiv:1710.03740). Gradients are added up in float32
as well, so that cutting a step into more pieces rounds no more. A master begins as the base's files hold the weight,
where they hold it in full: one that began at the rounded number would have to come half the way to the next before the
model moves at all, which at usual rates takes several steps.

Off-loaded, every weight has a master, and these lie in main memory while a card holds the model: a gradient leaves the
card as soon as it is there, and the processor moves the masters (ZeRO-Offload, Ren et al. 2021, arXiv:2101.06840).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunewright.train.ranks.sharding import like, whole_of

# Gives a weight in full, by its name and what the model holds of it; None where nobody knows more than the model.
Stored = Callable[[str, Tensor], Tensor | None]


class Optimiser:
    """What an optimiser's plug-in built, seen from the loop.

    Args:
        weights: All trained weights, by name.
        parts: Torch's optimisers, fresh; each weight belongs to one of them.
        offloaded: Whether masters, gradients and the optimisers' state lie in main memory.
        stored: Gives what masters begin with.

    Attributes:
        weights: What is moved, by the weights' names, in float32 at least: the weight itself, or its master. Gradients
            are found here.
    """

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        parts: Sequence[Optimizer],
        *,
        offloaded: bool = False,
        stored: Stored = lambda name, rounded: None,
    ) -> None:
        self._parts = parts
        narrow = {name: weight for name, weight in weights.items() if offloaded or weight.dtype.itemsize < 4}
        masters = {name: _master(weight, offloaded, _in_full(name, weight, stored)) for name, weight in narrow.items()}
        self._rounded = [(weight, masters[name]) for name, weight in narrow.items()]
        self.weights = {**weights, **masters}
        self._names = {id(weight): name for name, weight in self.weights.items()}
        moved = {id(weight): master for weight, master in self._rounded}
        for part in parts:
            for group in part.param_groups:
                group["params"] = [moved.get(id(weight), weight) for weight in group["params"]]

    @torch.no_grad()
    def put(self, values: Mapping[str, Tensor]) -> None:
        """Sets all weights, by name, and with them the model's."""
        for name, weight in self.weights.items():
            weight.copy_(values[name])
        self._round()

    @torch.no_grad()
    def keep(self, kept: dict[str, Tensor]) -> None:
        """Copies all weights over those that were kept before, so that there are never two copies of them."""
        for name, weight in self.weights.items():
            if name in kept:
                kept[name].copy_(weight)
            else:
                kept[name] = weight.detach().clone()

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
        self._round()

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

    @torch.no_grad()
    def _round(self) -> None:
        """Brings the masters' values into the model."""
        for weight, master in self._rounded:
            weight.copy_(master)


def _in_full(name: str, weight: nn.Parameter, stored: Stored) -> Tensor:
    """A weight as it was before the model rounded it, or the weight itself."""
    if weight.dtype.itemsize < 4 and (wide := stored(name, whole_of(weight.detach()))) is not None:
        return like({name: wide}, {name: weight})[name]
    return weight.detach()


def _master(weight: nn.Parameter, offloaded: bool, begins: Tensor) -> nn.Parameter:
    """A weight in float32 at least, to which its gradients go from now on."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    copy = begins.to("cpu" if offloaded else weight.device, wide, copy=True)
    # Pinned memory is read by a card at full speed.
    master = nn.Parameter(copy.pin_memory() if offloaded and weight.device.type == "cuda" else copy)

    def hand_over(weight: Tensor) -> None:
        assert weight.grad is not None
        gradient = weight.grad.to(master.device, wide)
        if master.grad is None:
            master.grad = gradient
        else:
            master.grad.add_(gradient)
        weight.grad = None

    weight.register_post_accumulate_grad_hook(hand_over)  # type: ignore[no-untyped-call]
    return master


def _as_tensor(value: Tensor | int) -> Tensor:
    """A step's number is a tensor in some optimisers, and a whole number in others."""
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.int64)


def _from_tensor(value: Tensor) -> Tensor | int:
    return int(value) if value.dtype == torch.int64 and value.ndim == 0 else value
