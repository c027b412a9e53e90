"""Which of several processes this one is. Started by torchrun or by `--processes`, a process reads it from its
environment; needs no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A process among those that train together.

    Args:
        rank: Its number, from 0.
        world: How many there are.
        local_rank: Its number on its machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks for all."""
        return self.rank == 0


def place() -> Place:
    """This process's place, as torchrun's variables tell it; alone where there are none."""
    told = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")]
    if not all(told) or int(told[1]) < 2:
        return Place()
    return Place(int(told[0]), int(told[1]), int(os.environ.get("LOCAL_RANK", told[0])))
