"""FlexAttention on CUDA: the forest's one-line mask, compiled into the attention kernel.

Blocks of 128 queries by 128 keys in which no key is visible are never computed, so cost follows what is visible. The
nodes are filled up to whole blocks with padding nodes, each of which sees itself only, so that pieces of many sizes
share few compiled shapes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.forest.forest import Forest

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tunewright.forest.layout import Layout

BLOCK = 128  # FlexAttention's own block size


class Config(PluginConfig):
    """No settings."""

    name: Literal["flex"] = "flex"


def unfit(device: torch.device) -> str:
    """Why the backend does not run on a device; empty if it does."""
    if device.type != "cuda":
        return f"FlexAttention computes gradients on CUDA only, and the model is on {device.type}"
    if importlib.util.find_spec("triton") is None:
        return "FlexAttention is compiled by the package 'triton', which is not installed"
    return ""


def build(forest: Forest, device: torch.device) -> Layout:
    """The layout of a forest."""
    return _Flex(forest, device)


def visible(
    begin: Tensor, end: Tensor, depth: Tensor, window: Tensor | None
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The mask as FlexAttention asks for it, one query and one key at a time.

    Args:
        begin: The first node that sees each node, shape (N,).
        end: One past the last node of each node's subtree, shape (N,).
        depth: Distance of each node from its root, shape (N,).
        window: How far from its query a key is still seen, a number in a tensor, since a plain one would be compiled
            in; None for no such limit.
    """

    def below(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (begin[key] <= query) & (query < end[key])

    if window is None:
        return below
    reach = window

    def below_and_near(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return below(batch, head, query, key) & ((depth[query] - depth[key]).abs() < reach)

    return below_and_near


class _Flex:
    def __init__(self, forest: Forest, device: torch.device) -> None:
        import torch

        self._nodes = forest.nodes
        self._filled = max(1, -(-forest.nodes // BLOCK)) * BLOCK
        padding = np.arange(forest.nodes, self._filled)
        self._begin = torch.tensor(np.concatenate([forest.begin, padding]), device=device)
        self._end = torch.tensor(np.concatenate([forest.end, padding + 1]), device=device)
        self._depth = torch.tensor(np.concatenate([forest.depth, np.zeros_like(padding)]), device=device)
        self._masks: dict[int, Any] = {}

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        from torch.nn.functional import pad

        filling = (0, 0, 0, self._filled - self._nodes)
        out_HND = _kernel(q_HND.device.type)(
            *(pad(x, filling) for x in (q_HND, k_GND, v_GND)),
            block_mask=self._mask(window),
            scale=scaling,
            enable_gqa=q_HND.shape[1] != k_GND.shape[1],
        )
        return out_HND[:, :, : self._nodes].transpose(1, 2)  # type: ignore[no-any-return]

    def _mask(self, window: int) -> Any:
        """The mask by blocks, the same for all layers with one window."""
        import torch
        from torch.nn.attention.flex_attention import create_block_mask

        if window not in self._masks:
            reach = torch.tensor(window, device=self._end.device) if window else None
            rule = visible(self._begin, self._end, self._depth, reach)
            self._masks[window] = create_block_mask(
                rule, None, None, self._filled, self._filled, device=self._end.device, BLOCK_SIZE=BLOCK
            )
        return self._masks[window]


@cache
def _kernel(device: str) -> Callable[..., Any]:
    """The attention function: compiled on CUDA; elsewhere as plain torch operations, without gradients."""
    import functools

    import torch
    from torch.nn.attention.flex_attention import flex_attention

    if device != "cuda":
        return flex_attention
    # Of the kernels on offer this one has no atomic additions, so that its gradients have the same bits each time.
    exact = functools.partial(flex_attention, kernel_options={"BACKEND": "TRITON"})
    return torch.compile(exact)
