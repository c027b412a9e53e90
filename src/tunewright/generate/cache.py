"""Keys and values of what was read so far, and how decoding attends to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tunewright.forest.layout import Layout


@dataclass
class Recorder:
    """A layout that computes as another one does, and keeps every layer's keys and values."""

    inner: Layout
    keys: dict[int, Tensor] = field(default_factory=dict)  # layer -> (G, N, D)
    values: dict[int, Tensor] = field(default_factory=dict)

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        self.keys[layer], self.values[layer] = k_GND[0], v_GND[0]
        return self.inner.attend(layer, q_HND, k_GND, v_GND, scaling, window)


class Cache:
    """Keys and values of a batch: one trunk that all rows share, and each row's own rest.

    Args:
        recorder: What the prefill kept.
        trunk: Nodes that every row begins with, shape (P,).
        rest_BL: Each row's own nodes, padded with node 0, shape (B, L).
        length_B: How many of them are the row's, shape (B,).
        room: Tokens to be added to a row at most.
    """

    def __init__(self, recorder: Recorder, trunk: Tensor, rest_BL: Tensor, length_B: Tensor, room: int) -> None:
        self._trunk = {
            layer: (recorder.keys[layer][:, trunk], recorder.values[layer][:, trunk]) for layer in recorder.keys
        }
        self._trunk_length = len(trunk)
        self._own = {
            layer: tuple(_spread(kept[layer], rest_BL, room) for kept in (recorder.keys, recorder.values))
            for layer in recorder.keys
        }
        self.length_B = length_B

    @property
    def position_B(self) -> Tensor:
        """Position of the token that each row reads next."""
        return self._trunk_length + self.length_B

    def advance(self) -> None:
        """Notes that each row has read one token more."""
        self.length_B = self.length_B + 1

    def keep(self, rows: Tensor) -> None:
        """Drops all rows but these."""
        self.length_B = self.length_B[rows]
        self._own = {layer: tuple(x[rows] for x in kept) for layer, kept in self._own.items()}

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        """One new token per row: notes its key and value, and attends to trunk and rest."""
        own_k, own_v = self._own[layer]
        row = torch.arange(len(own_k), device=own_k.device)
        own_k[row, :, self.length_B] = k_GND[:, :, 0]
        own_v[row, :, self.length_B] = v_GND[:, :, 0]
        longest = int(self.length_B.max()) + 1
        own_k, own_v = own_k[:, :, :longest], own_v[:, :, :longest]
        trunk_k, trunk_v = self._trunk[layer]
        batch, heads, _, width = q_HND.shape
        groups = own_k.shape[1]
        q_BGRD = q_HND.reshape(batch, groups, heads // groups, width) * scaling
        far_BGRP = torch.einsum("bgrd,gpd->bgrp", q_BGRD, trunk_k)
        near_BGRL = q_BGRD @ own_k.transpose(-1, -2)
        behind_BK = self.position_B[:, None] - torch.arange(self._trunk_length + longest, device=row.device)
        hidden_BK = behind_BK < 0
        if window:
            hidden_BK = hidden_BK | (behind_BK >= window)
        score_BGRK = torch.cat([far_BGRP, near_BGRL], dim=-1).masked_fill(hidden_BK[:, None, None], -torch.inf)
        share_BGRK = score_BGRK.softmax(-1, dtype=torch.float32).to(q_HND.dtype)
        far_BGRP, near_BGRL = share_BGRK[..., : self._trunk_length], share_BGRK[..., self._trunk_length :]
        out_BGRD: Tensor = torch.einsum("bgrp,gpd->bgrd", far_BGRP, trunk_v) + near_BGRL @ own_v
        return out_BGRD.reshape(batch, 1, heads, -1)


def _spread(kept_GND: Tensor, rest_BL: Tensor, room: int) -> Tensor:
    """Each row's own keys or values, with room for more: shape (B, G, L + room, D)."""
    batch, length = rest_BL.shape
    groups, _, width = kept_GND.shape
    spread = kept_GND.new_zeros(batch, groups, length + room, width)
    spread[:, :, :length] = kept_GND[:, rest_BL].transpose(0, 1)
    return spread
