"""What holds weights to where they started, so that what the base could is not forgotten.

The loss gains half the sum of `pull * (weight - start) ** 2`. The pull is one number for all weights (L2-SP, Li et al.
2018, arXiv:1802.01483), or each weight's Fisher information on general rows times one number (elastic weight
consolidation, Kirkpatrick et al. 2017, arXiv:1612.00796), or the sum of both. Every method starts at the base itself,
its update zero, so that for an adapter this pulls its update towards zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class Anchor:
    """The pull on a run's weights.

    Args:
        weights: The trained weights, as they start.
        l2: Pull on every weight.
        ewc: Pull on a weight whose Fisher information is 1.

    Attributes:
        fisher: Each weight's Fisher information, by name; to be set before the first pull where `ewc` is not 0.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], *, l2: float, ewc: float) -> None:
        self._weights, self._l2, self._ewc = dict(weights), l2, ewc
        self._start = {name: weight.detach().clone() for name, weight in weights.items()} if self.is_set else {}
        self.fisher: dict[str, Tensor] = {}

    @property
    def is_set(self) -> bool:
        """Whether there is a pull at all."""
        return bool(self._l2 or self._ewc)

    @torch.no_grad()
    def pull(self) -> float:
        """Adds the pull's gradients to those at hand; gives its part of the loss."""
        penalty = 0.0
        for name, start in self._start.items():
            weight = self._weights[name]
            if weight.grad is None:
                continue  # nor does it move
            away = weight - start
            force = (self._l2 + self._ewc * self.fisher[name].to(away)) * away if self._ewc else self._l2 * away
            weight.grad.add_(force)
            penalty += 0.5 * float((force * away).sum())
        return penalty


def fisher_information(weights: Mapping[str, nn.Parameter], losses: Iterable[Tensor]) -> dict[str, Tensor]:
    """The diagonal of the empirical Fisher information: the mean of the squared gradients of single examples.

    Args:
        weights: Whose information to take.
        losses: Each example's negative log-likelihood, in nats, with its graph; at least one.
    Returns:
        A tensor of each weight's shape, in float32 at least.
    """
    wide = {name: torch.promote_types(weight.dtype, torch.float32) for name, weight in weights.items()}
    total = {name: torch.zeros_like(weight, dtype=wide[name]) for name, weight in weights.items()}
    count = 0
    for loss in losses:
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                gradient = gradient.to(wide[name])
                total[name].addcmul_(gradient, gradient)
        count += 1
    return {name: value / count for name, value in total.items()}
