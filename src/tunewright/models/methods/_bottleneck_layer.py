"""A linear layer with a residual bottleneck behind it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from tunewright.models.methods._added import AddedLinear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": functional.tanh,
}


class BottleneckLinear(AddedLinear):
    """`y + up(activation(down(y)))` with `y = base_layer(x)`. Up is zero at first, so that it begins as the base."""

    def __init__(self, base_layer: nn.Linear, *, width: int, activation: str, dropout: float) -> None:
        super().__init__(base_layer)
        self.down = nn.Linear(base_layer.out_features, width, dtype=self.trained_dtype)
        self.up = nn.Linear(width, base_layer.out_features, dtype=self.trained_dtype)
        self.dropout = nn.Dropout(dropout)
        self._activation = ACTIVATIONS[activation]
        for weight in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(weight)

    def update(self, x: Tensor, y: Tensor) -> Tensor:
        """Shape (..., O)."""
        # The weights are float32; the products are computed in the model's own dtype.
        low = functional.linear(y, self.down.weight.to(y.dtype), self.down.bias.to(y.dtype))
        low = self.dropout(self._activation(low))
        return functional.linear(low, self.up.weight.to(y.dtype), self.up.bias.to(y.dtype))
