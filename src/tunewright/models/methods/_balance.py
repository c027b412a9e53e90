"""What keeps routers from sending all tokens to a few experts.

For each router `E · Σ_e f_e · P_e` (Fedus et al. 2021, arXiv:2101.03961, equations 4 to 6), summed over the routers:
f_e is the share of the tokens that went to expert e, P_e the mean of its probability, and only P has a gradient. Even
experts give 1, one expert for all tokens gives E. Where a token goes to several, it counts for each by its gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from tunewright.base.errors import ModelError
from tunewright.models.methods._molora_linear import MixtureLinear


class Balance:
    """The balance of a model's routers, as a penalty that the training loop adds (`train.penalty.Penalty`).

    Args:
        layers: Those with routers, L of them, with E experts each.
        weight: Factor on the sum over the routers.
    """

    name = "balance"

    def __init__(self, layers: Sequence[MixtureLinear], weight: float) -> None:
        self._layers, self._weight = layers, weight

    @contextmanager
    def watch(self) -> Iterator[None]:
        """What the routers say in a forward pass while this is open is what the other functions are about."""
        for layer in self._layers:
            layer.watched, layer.routed = True, None
        try:
            yield
        finally:
            for layer in self._layers:
                layer.watched = False

    def statistic(self, count_N: Tensor) -> Tensor:
        """How many tokens went to each expert, float64, shape (L, E); pieces of a step add up.

        Args:
            count_N: Rows through each node: as many tokens as it stands for.
        """
        load = [count_N.double() @ gate_NE.double() for _, gate_NE in self._routed(count_N)]
        return torch.stack(load)

    def part(self, count_N: Tensor, statistic: Tensor) -> Tensor:
        """The watched nodes' part of the penalty, a scalar with its gradient; the parts of a step's pieces add up.

        Args:
            count_N: As for `statistic`.
            statistic: That of the whole step.
        """
        tokens_L = statistic.sum(-1)
        total = statistic.new_zeros(())
        for (logit_NE, _), load_E, tokens in zip(self._routed(count_N), statistic, tokens_L, strict=True):
            probability_NE = logit_NE.softmax(-1)
            sum_E = count_N.to(probability_NE) @ probability_NE
            total = total + len(load_E) * ((load_E / tokens) * (sum_E / tokens)).sum()
        return self._weight * total

    def _routed(self, count_N: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each router's logits and gates of the nodes, shapes (N, E)."""
        found = []
        for layer in self._layers:
            if layer.routed is None or len(layer.routed[0]) != len(count_N):
                seen = 0 if layer.routed is None else len(layer.routed[0])
                raise ModelError(
                    f"A router saw {seen} tokens of {len(count_N)}, so that its experts cannot be balanced",
                    where="method.balance",
                    hint="Set it to 0 for this model.",
                )
            found.append(layer.routed)
        return found
