"""The same run gives the same bits: deterministic kernels, and random states that can be put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tunewright.base.seeds import derive
from tunewright.train.ranks.group import Ranks


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic kernels while open."""
    switches: Any = torch.utils.deterministic
    before, fill = torch.are_deterministic_algorithms_enabled(), switches.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    switches.fill_uninitialized_memory = False  # costs time, and only hides bugs
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        switches.fill_uninitialized_memory = fill


def seed_noise(seed: int, rank: int) -> None:
    """Seeds what dropout draws from: with the seed alone in the first process, apart in each other one."""
    torch.manual_seed(derive(seed, "noise", rank) if rank else derive(seed, "noise"))


def random_state() -> dict[str, Tensor]:
    """The state of torch's generators, by device."""
    state = {"torch": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # else nothing was drawn there
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """Puts a state back that `random_state` gave."""
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def all_random_states(ranks: Ranks) -> dict[str, Tensor]:
    """The states of all processes: of the first one by device, of further ones as `torch.1`, `cuda.1` and so on."""
    found = ranks.gather(random_state())
    return {_name(device, rank): each for rank, state in enumerate(found) for device, each in state.items()}


def set_own_random_state(states: Mapping[str, Tensor], rank: int, otherwise: int) -> None:
    """Puts this process's state back, of those that `all_random_states` gave.

    Args:
        otherwise: What to seed with where the states are of fewer processes.
    """
    own = {device: states[name] for device in ("torch", "cuda") if (name := _name(device, rank)) in states}
    if own:
        set_random_state(own)
    else:
        seed_noise(otherwise, rank)


def _name(device: str, rank: int) -> str:
    return f"{device}.{rank}" if rank else device
