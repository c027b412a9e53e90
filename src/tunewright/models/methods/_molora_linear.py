"""A linear layer with several LoRA experts beside it, and a router that weighs them for each token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.models.methods._added import AddedLinear

_ROUTER_SPREAD = 0.02


class MixtureLinear(AddedLinear):
    """`base_layer(x) + scale · Σ_e gate_e(x) · up_e(down_e(x))`.

    The experts' narrow products stand side by side in two matrices, and the gates scale the numbers between them: all
    experts together cost two products, and an expert that is not chosen adds exact zeros.

    Args:
        base_layer: The frozen layer, I inputs and O outputs.
        experts: Number of experts, E.
        rank: Inner width of each, R.
        scale: Factor on the update.
        top_k: Experts that a token uses; the others' gates are zero.
        dropout: Share of the inputs dropped in training; the router reads them whole.

    Attributes:
        watched: Whether what the router says of a pass is to be kept.
        routed: The last watched pass: logits of all experts, with a gradient, and gates, without; shapes (N, E).
    """

    def __init__(
        self, base_layer: nn.Linear, *, experts: int, rank: int, scale: float, top_k: int, dropout: float
    ) -> None:
        super().__init__(base_layer)
        self.experts, self.rank, self.scale, self.top_k = experts, rank, scale, top_k
        inputs, outputs, dtype = base_layer.in_features, base_layer.out_features, self.trained_dtype
        self.router = nn.Linear(inputs, experts, bias=False, dtype=dtype)
        self.down = nn.Linear(inputs, experts * rank, bias=False, dtype=dtype)
        self.up = nn.Linear(experts * rank, outputs, bias=False, dtype=dtype)
        self.dropout = nn.Dropout(dropout)
        self.watched = False
        self.routed: tuple[Tensor, Tensor] | None = None
        nn.init.normal_(self.router.weight, std=_ROUTER_SPREAD)
        nn.init.zeros_(self.up.weight)

    def update(self, x: Tensor, y: Tensor) -> Tensor:
        """Shape (..., O)."""
        # The weights are float32; the products are computed in the model's own dtype.
        low = functional.linear(self.dropout(x), self.down.weight.to(x.dtype))
        logits = self._logits(x)
        gate = self._gates(logits)
        if self.watched:
            # Nothing is computed of them here: a block that is computed again, unwatched, must keep the same.
            self.routed = logits.flatten(0, -2), gate.detach().flatten(0, -2)
        gate = (gate * self.scale).to(x.dtype)
        low = (low.view(*gate.shape, self.rank) * gate[..., None]).flatten(-2)
        return functional.linear(low, self.up.weight.to(x.dtype))

    def gates(self, x: Tensor) -> Tensor:
        """How much each token uses each expert, shape (..., E): not negative, sum one, `top_k` of them not zero.

        A token's gates follow from its own hidden state alone, so rows that share a prefix share its gates.
        """
        return self._gates(self._logits(x))

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(x.to(self.router.weight.dtype), self.router.weight)

    def _gates(self, logits: Tensor) -> Tensor:
        if self.top_k < self.experts:
            chosen = logits.topk(self.top_k, dim=-1).indices
            dropped = torch.ones_like(logits, dtype=torch.bool).scatter(-1, chosen, False)
            logits = logits.masked_fill(dropped, -torch.inf)
        return logits.softmax(-1)
