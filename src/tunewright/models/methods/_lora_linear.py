"""A linear layer with LoRA whose update is added by the matrix product itself.

PEFT computes `W x`, then `B(A x)`, then scales, then adds: four passes over the layer's output, and as many again on
the way back. Here the narrow product is accumulated into the wide one, in both directions.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor
from torch.nn import functional


class LoraLinear(Linear):
    """PEFT's own layer, with a shorter way for the plain case: one active adapter, no dropout, no variant.

    On a base in bfloat16 the adapter's own weights stay in float32, and are rounded for each product; where PEFT widens
    the layer's input instead, and multiplies in float32.
    """

    #: The base's own weights, while the update is added into them (`models.folding`); None otherwise.
    _unfolded: Tensor | None = None

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._unfolded is not None:
            plain: Tensor = self.base_layer(x)
            return plain
        name = self._plain_adapter(x) if not args and not kwargs else None
        if name is None:
            return super().forward(x, *args, **kwargs)
        base = self.base_layer
        down, up, scale = self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]
        out: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            x.reshape(-1, x.shape[-1]), base.weight, base.bias, down, up, scale
        )
        return out.view(*x.shape[:-1], -1)

    def fold(self) -> None:
        """Adds the update into the base's weights, where an update with nothing else is all there is to add."""
        base: Any = self.base_layer
        name = self._plain_adapter(base.weight[:0])
        # A narrow sum would round the update away.
        if name is None or self._unfolded is not None or self.lora_A[name].weight.dtype != base.weight.dtype:
            return
        self._unfolded = base.weight.data
        down: Any = self.lora_A[name].weight
        up: Any = self.lora_B[name].weight
        base.weight.data = torch.addmm(base.weight.data, up, down, alpha=self.scaling[name])

    def unfold(self) -> None:
        """Puts the base's own weights back."""
        base: Any = self.base_layer
        if self._unfolded is not None:
            base.weight.data = self._unfolded
            self._unfolded = None

    def _plain_adapter(self, x: Tensor) -> str | None:
        """The one adapter to be added, if that is all there is to do."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        if self.disable_adapters or self.merged or len(active) != 1 or type(self.base_layer) is not torch.nn.Linear:
            return None
        (name,) = active
        drops = self.training and not isinstance(self.lora_dropout[name], torch.nn.Identity)
        if drops or name in self.lora_variant or self.lora_bias[name] or self.base_layer.weight.requires_grad:
            return None
        same = x.dtype == self.base_layer.weight.dtype
        fits = same and self.lora_A[name].weight.dtype in (x.dtype, torch.float32)
        return name if fits and not torch.is_autocast_enabled(x.device.type) else None


class _Product(torch.autograd.Function):
    """`x Wᵀ + b + s (x Aᵀ) Bᵀ`, differentiable in x, A and B; shapes (N, I), (O, I), (O,), (R, I), (O, R).

    Computed in x's dtype, also where A and B are wider; B is scaled beforehand, as the smallest of what could be.
    """

    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, down_RI: Tensor, up_OR: Tensor, scale: float
    ) -> Tensor:
        ctx.scale, ctx.dtype = scale, down_RI.dtype
        down_RI, up_OR = down_RI.to(x_NI.dtype), (scale * up_OR).to(x_NI.dtype)
        low_NR = x_NI @ down_RI.t()
        ctx.save_for_backward(x_NI, low_NR, weight_OI, down_RI, up_OR)
        return functional.linear(x_NI, weight_OI, bias_O).addmm_(low_NR, up_OR.t())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        (grad_NO,) = grads
        x_NI, low_NR, weight_OI, down_RI, up_OR = ctx.saved_tensors
        low_grad_NR = grad_NO @ up_OR
        x_grad_NI = None
        if ctx.needs_input_grad[0]:
            x_grad_NI = (grad_NO @ weight_OI).addmm_(low_grad_NR, down_RI)
        # Transposed, the narrow product has long rows, and runs in under two thirds of the time.
        up_grad_RO = (low_NR.t() @ grad_NO).mul_(ctx.scale)
        down_grad_RI = low_grad_NR.t() @ x_NI
        return x_grad_NI, None, None, down_grad_RI.to(ctx.dtype), up_grad_RO.t().to(ctx.dtype), None
