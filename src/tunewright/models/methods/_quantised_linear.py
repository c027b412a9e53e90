"""Linear layers whose weights bitsandbytes keeps in 4 or 8 bits.

They compute alike in training and in use: weights are widened to the input's dtype and multiplied with it. Left to
itself, bitsandbytes on a CPU takes another way once a model is in evaluation mode: 8-bit layers round their inputs to
8 bits too, and 4-bit layers go over to bfloat16 where the processor has it, in a format that a later training step
finds in the same place and through which no gradient flows.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from bitsandbytes import nn as bnb
from torch import Tensor, nn
from torch.nn import functional


def quantised(layer: nn.Linear, bits: Literal[4, 8]) -> nn.Module:
    """A quantised layer in place of a frozen one, on its device."""
    made: nn.Module = Linear4(layer) if bits == 4 else Linear8(layer)
    return made.train(layer.training).requires_grad_(False)


class Linear4(bnb.Linear4bit):  # type: ignore[misc]
    """4-bit NormalFloat in blocks of 64, whose scales are quantised to 8 bits in their turn."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(
            layer.in_features, layer.out_features, bias=False, compute_dtype=layer.weight.dtype, device="meta"
        )
        self.weight = bnb.Params4bit(
            layer.weight.detach(), requires_grad=False, compress_statistics=True, quant_type="nf4", module=self
        ).to(layer.weight.device)
        self.bias = layer.bias
        self.support_avx512bf16_for_cpu = False


class Linear8(bnb.Linear8bitLt):  # type: ignore[misc]
    """8-bit integers with one scale for each output; inputs are not rounded."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False, has_fp16_weights=False, device="meta")
        # It is the move from the CPU that quantises.
        self.weight = bnb.Int8Params(layer.weight.detach().cpu(), requires_grad=False).to(layer.weight.device)
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """`x Wᵀ + b`, differentiable in x; shapes (…, I) and (…, O)."""
        product: Tensor = _Widened.apply(x, self.weight.data, self.weight.SCB)  # type: ignore[no-untyped-call]
        return product if self.bias is None else product + self.bias


class _Widened(torch.autograd.Function):
    """`x Wᵀ` where W is widened anew in each direction, so that no wide copy waits for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OI: Tensor, scale_O: Tensor) -> Tensor:
        ctx.save_for_backward(weight_OI, scale_O)
        return functional.linear(x, _widen(weight_OI, scale_O, x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        weight_OI, scale_O = ctx.saved_tensors
        return grads[0] @ _widen(weight_OI, scale_O, grads[0].dtype), None, None


def _widen(weight_OI: Tensor, scale_O: Tensor, dtype: torch.dtype) -> Tensor:
    """The weights that 8-bit integers stand for: 127 is the largest of each output."""
    return (weight_OI * (scale_O / 127)[:, None]).to(dtype)
