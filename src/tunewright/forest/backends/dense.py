"""Every node against every node, under a boolean mask: simple, exact, and quadratic in the forest's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.forest.forest import Forest

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tunewright.forest.layout import Layout


class Config(PluginConfig):
    """No settings."""

    name: Literal["dense"] = "dense"


def unfit(device: torch.device) -> str:
    """Fits every device."""
    return ""


def build(forest: Forest, device: torch.device) -> Layout:
    """The layout of a forest."""
    return _Dense(forest, device)


class _Dense:
    def __init__(self, forest: Forest, device: torch.device) -> None:
        import torch

        node = torch.arange(forest.nodes, device=device)
        begin, end = (torch.tensor(array, device=device) for array in (forest.begin, forest.end))
        # Node k is visible to node q iff begin[k] <= q < end[k].
        self._visible_QK = (begin[None, :] <= node[:, None]) & (node[:, None] < end[None, :])
        self._depth = torch.tensor(forest.depth, device=device)

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        from torch.nn.functional import scaled_dot_product_attention

        visible_QK = self._visible_QK
        if window:
            visible_QK = visible_QK & ((self._depth[:, None] - self._depth[None, :]).abs() < window)
        out_HND = scaled_dot_product_attention(
            q_HND, k_GND, v_GND, attn_mask=visible_QK, scale=scaling, enable_gqa=q_HND.shape[1] != k_GND.shape[1]
        )
        return out_HND.transpose(1, 2)
