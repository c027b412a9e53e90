"""What the processes of a run have computed of a step, brought together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from tunewright.objectives._protocol import LossSum
from tunewright.train.ranks.group import Ranks


@dataclass
class Sums:
    """Sums over pieces.

    Attributes:
        loss: Of the losses, in nats.
        weight: What to divide them by.
        nodes: Forest nodes.
        reported: Further sums, by name.
    """

    loss: float = 0.0
    weight: float = 0.0
    nodes: int = 0
    reported: Counter[str] = field(default_factory=Counter)

    def count(self, part: LossSum, nodes: int) -> None:
        """Adds a piece."""
        self.loss += part.total.item()
        self.weight += part.weight
        self.nodes += nodes
        self.reported.update(part.reported)

    def over(self, ranks: Ranks) -> Sums:
        """The sums of all processes, added up in the order of their ranks: the same everywhere."""
        total = Sums()
        for each in ranks.gather(self):
            total.loss, total.weight, total.nodes = (
                total.loss + each.loss,
                total.weight + each.weight,
                total.nodes + each.nodes,
            )
            total.reported.update(each.reported)
        return total


def add_gradients(ranks: Ranks, weights: Mapping[str, Tensor]) -> None:
    """Sums each weight's gradient over all processes; one that none of them has a gradient for stays without.

    Those of weights of which each process holds a share are summed already, by FSDP.
    """
    weights = {name: weight for name, weight in weights.items() if not isinstance(weight, DTensor)}
    if ranks.world == 1:
        return
    moved = [any(each) for each in zip(*ranks.gather([w.grad is not None for w in weights.values()]), strict=True)]
    chosen = [weight for weight, moves in zip(weights.values(), moved, strict=True) if moves]
    for weight in chosen:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    ranks.add(weight.grad for weight in chosen if weight.grad is not None)
