"""Weights kept in the order in which a processor multiplies, while answers are written.

A product of a few rows with a matrix spends most of its time on bringing the matrix into that order, each time anew.
MKL can keep it (`cblas_sgemm_pack`, `cblas_sgemm_compute`): on two cores products of 8 to 48 rows take a half to a
quarter of the time. torch holds the two as operators, for its own compiler; sums are rounded elsewhere, no more.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGEST_BYTES = 2 << 30  # of weights that are held a second time
_SMALL = 1 << 14  # weights of a layer, below which nothing is won
_PROBED_ROWS, _PROBE = (1, 5, 48, 300), (40, 33)  # what is tried: rows, and the shape of the weights
_CLOSE = 1e-4


class PackedLinear(nn.Linear):
    """A linear layer that has its weights in the processor's order as well, for products without a gradient.

    Never made as such: a layer is given this class while it is packed, so that hooks on it and wrappers around it stay
    as they are.
    """

    order: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Linear`."""
        if torch.is_grad_enabled() or x.dtype != torch.float32 or not x.numel():
            return super().forward(x)
        return _product(x, self.order, self.weight, self.bias)


class Packing:
    """The plain linear layers of a model, packed as long as that helps and until `undo`; weights must not change.

    Args:
        model: Its layers that other packings hold stay as they are.

    `bytes` is what the copies take.
    """

    def __init__(self, model: nn.Module) -> None:
        found = [one for one in model.modules() if type(one) is nn.Linear and one.weight.numel() >= _SMALL]
        size = sum(layer.weight.nbytes for layer in found)
        kinds = {(str(layer.weight.dtype), layer.weight.device.type) for layer in found}
        fits = all(packs(size, dtype.removeprefix("torch."), device) for dtype, device in kinds)
        self._layers = found if fits else []
        self.bytes = size if fits else 0
        for layer in self._layers:
            layer.order = _packed(layer.weight.detach())
            layer.__class__ = PackedLinear

    def undo(self) -> None:
        """Makes the layers plain ones again."""
        for layer in self._layers:
            layer.__class__ = nn.Linear
            del layer.order
        self._layers, self.bytes = [], 0


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """The model's layers are packed while open."""
    packing = Packing(model)
    try:
        yield
    finally:
        packing.undo()


def packs(size: int, dtype: str, device: str) -> bool:
    """Whether weights of so many bytes are packed: on a processor with MKL, in float32, and as long as they are few."""
    return size <= _LARGEST_BYTES and dtype == "float32" and device == "cpu" and _works()


@functools.cache
def _works() -> bool:
    """Whether torch has the operators here, and what is packed once serves any number of rows.

    MKL promises that only for the number that it was packed for; so it is tried.
    """
    if not (torch.backends.mkl.is_available() and hasattr(torch.ops.mkl, "_mkl_linear")):  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        weight = torch.randn(_PROBE, generator=generator)
        order = _packed(weight)
        inputs = [torch.randn(rows, _PROBE[1], generator=generator) for rows in _PROBED_ROWS]
        return all(
            torch.allclose(_product(x, order, weight, None), functional.linear(x, weight), atol=_CLOSE) for x in inputs
        )


def _packed(weight: Tensor) -> Tensor:
    order: Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight.contiguous(), 1)
    return order


def _product(x: Tensor, order: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkl._mkl_linear(x, order, weight, bias, x.numel() // x.shape[-1])
    return out
