"""Rotary positions in fewer passes over memory.

transformers turns queries and keys by five operations each, whose gradient takes some eight more, copies and fills
among them. Here halves are turned in place, and the gradient is the turn back (Su et al. 2021, arXiv:2104.09864,
equation 34).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

_NAME = "apply_rotary_pos_emb"  # what transformers' attention layers call
_ASKED = ["q", "k", "cos", "sin", "unsqueeze_dim"]


def quicken_rotations(model: nn.Module) -> int:
    """Makes attention layers that turn queries and keys by halves do so in fewer passes; nothing else of them changes.

    What a layer's function computes is tried, not taken from its name: some families turn neighbours, not halves.

    Returns:
        Number of layers changed.
    """
    found = 0
    for module in model.modules():
        kind: Any = type(module)
        quick: Any = _quick_kind(kind)
        if quick is not None:
            module.__class__ = quick
            found += 1
    return found


@cache
def _quick_kind(kind: type[Any]) -> type[Any] | None:
    """The same kind of layer, but for its turns; None where it has none that we could make, or has ours."""
    forward = vars(kind).get("forward")
    # Whatever is wrapped around a forward pass, a name that it looks up is not known from outside.
    if not isinstance(forward, FunctionType) or _NAME not in forward.__code__.co_names:
        return None
    stock = forward.__globals__.get(_NAME)
    if not isinstance(stock, FunctionType) or stock.__module__ == __name__ or not _turns_halves(stock):
        return None
    told = {**forward.__globals__, _NAME: _quick(stock)}
    quick = FunctionType(forward.__code__, told, forward.__name__, forward.__defaults__, forward.__closure__)
    quick.__kwdefaults__ = forward.__kwdefaults__
    return type(kind.__name__, (kind,), {"forward": quick, "__module__": kind.__module__, "__doc__": kind.__doc__})


def _quick(stock: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A function with the stock one's signature, which leaves to that whatever is not the plain case."""

    def turned(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
        is_plain = all(x.dtype == cos.dtype and x.shape[-1] == cos.shape[-1] for x in (q, k))
        if not is_plain:
            found: tuple[Tensor, Tensor] = stock(q, k, cos, sin, unsqueeze_dim=unsqueeze_dim)
            return found
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        if not torch.is_grad_enabled():  # a function with a gradient costs as much again around it
            return _turn(q, cos, sin), _turn(k, cos, sin)
        return _Turn.apply(q, cos, sin), _Turn.apply(k, cos, sin)  # type: ignore[no-untyped-call]

    return turned


@torch.no_grad()
def _turns_halves(stock: FunctionType) -> bool:
    """Whether a function gives what ours does, tried on numbers drawn at random."""
    if list(inspect.signature(stock).parameters) != _ASKED:
        return False
    generator = torch.Generator().manual_seed(0)
    q, k, cos, sin = (
        torch.randn(shape, generator=generator) for shape in ((1, 4, 3, 8), (1, 2, 3, 8), (1, 3, 8), (1, 3, 8))
    )
    expected, given = stock(q, k, cos, sin), _quick(stock)(q, k, cos, sin)
    return all(torch.allclose(x, y, rtol=1e-5, atol=1e-6) for x, y in zip(expected, given, strict=True))


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`(a, b)` to `(a cos − b sin, b cos + a sin)`, where a and b are the halves of x's last dimension.

    Each product is rounded before it is added, as transformers has it: the bits are the same.
    """
    half = x.shape[-1] // 2
    out = x * cos
    out[..., :half].sub_(x[..., half:] * sin[..., :half])
    out[..., half:].add_(x[..., :half] * sin[..., half:])
    return out


class _Turn(torch.autograd.Function):
    """The turn of x, differentiable in x; shapes (…, D), and what broadcasts to it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,), (cos, sin) = grads, ctx.saved_tensors
        half = sin.shape[-1] // 2
        # The turn back: sines change their sign, and go with the half that they came from.
        x_grad = grad * cos
        x_grad[..., :half].addcmul_(grad[..., half:], sin[..., half:])
        x_grad[..., half:].addcmul_(grad[..., :half], sin[..., :half], value=-1)
        return x_grad, None, None
