"""Keys and values of the rows that are being written, and the layout of a pass that reads prompts and writes answers.

What all rows begin with is kept once, as their trunk. Each row has a block of its own behind it; blocks lie side by
side, so that one product of matrices asks them all. Where a row has ended another takes its block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from tunewright.forest.forest import Ints
from tunewright.forest.layout import Layout

KeysValues = tuple[Tensor, Tensor]

_STEP = 32  # tokens by which blocks grow at least


class Blocks:
    """Keys and values by layer: of the trunk, shapes (G, P, D), and of rows, shapes (S, G, L, D).

    Args:
        trunk: What every row begins with, P nodes in each layer.
        trunk_length: P, for where there is nothing.
        rows: Rows side by side, S.
    """

    def __init__(self, trunk: dict[int, KeysValues], trunk_length: int, rows: int) -> None:
        self.trunk, self.trunk_length, self._rows = trunk, trunk_length, rows
        self._own: dict[int, KeysValues] = {}
        self._room = 0
        self.lengths: list[int] = []  # of the rows that are being written, which have the first blocks

    def put(self, read: Recorder, lines: Sequence[Ints], blocks: Sequence[int]) -> None:
        """Copies what was read of new rows into their blocks; those at the end of `lengths` are new ones.

        Args:
            read: What a pass kept.
            lines: Each row's own nodes in that pass, root first.
            blocks: Each row's block.
        """
        if not lines:
            return
        device = next(iter(read.keys.values())).device
        longest = max(map(len, lines))
        self._reserve(read, longest + 1)
        node_RL = torch.zeros(len(lines), longest, dtype=torch.long)
        for place, (line, block) in enumerate(zip(lines, blocks, strict=True)):
            node_RL[place, : len(line)] = torch.from_numpy(line)
            self.lengths[block : block + 1] = [len(line)]
        node_RL, block_R = node_RL.to(device), torch.tensor(blocks, device=device)
        for layer, own in self._own.items():
            for kept_GND, own_SGLD in zip((read.keys[layer], read.values[layer]), own, strict=True):
                own_SGLD[block_R, :, :longest] = kept_GND[:, node_RL].transpose(0, 1)

    def drop(self, blocks: Sequence[int]) -> list[tuple[int, int]]:
        """Leaves rows out: the last ones move into their blocks.

        Returns:
            Which block has moved into which.
        """
        left = len(self.lengths) - len(blocks)
        holes = sorted(block for block in blocks if block < left)
        last = sorted(set(range(left, len(self.lengths))) - set(blocks))
        if holes:
            longest = max(self.lengths[block] for block in last)
            for own in self._own.values():
                for kept in own:
                    kept[holes, :, :longest] = kept[last, :, :longest]
        for hole, block in zip(holes, last, strict=True):
            self.lengths[hole] = self.lengths[block]
        del self.lengths[left:]
        return list(zip(last, holes, strict=True))

    def step(self, device: torch.device) -> Step:
        """The layout of one token more of each row."""
        longest = max(self.lengths, default=0) + 1
        if self.lengths and longest > self._room:
            self._grow(longest)
        return Step(self, torch.tensor(self.lengths, dtype=torch.long, device=device), longest)

    def own(self, layer: int) -> KeysValues:
        """Keys and values of all blocks in a layer."""
        return self._own[layer]

    def advance(self) -> None:
        """Notes that each row has been read one token further."""
        self.lengths = [length + 1 for length in self.lengths]

    def _reserve(self, read: Recorder, length: int) -> None:
        """Makes blocks, or larger ones."""
        if not self._own:
            self._room = _rounded(length)
            for layer in read.keys:
                self._own[layer] = tuple(  # type: ignore[assignment]
                    x.new_zeros(self._rows, x.shape[0], self._room, x.shape[2])
                    for x in (read.keys[layer], read.values[layer])
                )
        elif length > self._room:
            self._grow(length)

    def _grow(self, length: int) -> None:
        more = _rounded(max(length, self._room + self._room // 2)) - self._room
        self._room += more
        # What is not written yet is zero and not whatever lies there: a share of 0 of what is no number is no number.
        self._own = {layer: (pad(k, (0, 0, 0, more)), pad(v, (0, 0, 0, more))) for layer, (k, v) in self._own.items()}


def _rounded(length: int) -> int:
    return -(-length // _STEP) * _STEP


class Step:
    """One new token for each row: notes its key and value, and attends to trunk and block.

    Args:
        blocks: Whose.
        length_B: Tokens in each row's block, the new one not counted, shape (B,).
        longest: The most of them, the new one counted.
    """

    def __init__(self, blocks: Blocks, length_B: Tensor, longest: int) -> None:
        self._blocks, self.length_B, self._longest = blocks, length_B, longest
        self._row_B = torch.arange(len(length_B), device=length_B.device)
        self._masks: dict[int, Tensor] = {}

    @property
    def position_B(self) -> Tensor:
        """Position of each row's new token."""
        return self.length_B + self._blocks.trunk_length

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        """The answers to B queries, one of each row: shape (1, B, H, D)."""
        rows, groups = len(self.length_B), k_GND.shape[1]
        heads, width = q_HND.shape[1], q_HND.shape[3]
        own_k, own_v = (kept[:rows] for kept in self._blocks.own(layer))
        own_k[self._row_B, :, self.length_B] = k_GND[0].transpose(0, 1)
        own_v[self._row_B, :, self.length_B] = v_GND[0].transpose(0, 1)
        own_k, own_v = own_k[:, :, : self._longest], own_v[:, :, : self._longest]
        q_BGRD = (q_HND[0].transpose(0, 1) * scaling).view(rows, groups, heads // groups, width)
        score_BGRK = q_BGRD @ own_k.transpose(-1, -2)
        trunk = self._blocks.trunk_length
        if trunk:
            far_GXP = q_BGRD.transpose(0, 1).reshape(groups, -1, width) @ self._blocks.trunk[layer][0].transpose(-1, -2)
            far_BGRP = far_GXP.view(groups, rows, -1, trunk).transpose(0, 1)
            score_BGRK = torch.cat([far_BGRP, score_BGRK], dim=-1)
        score_BGRK += self._mask(window, score_BGRK.dtype)
        share_BGRK = score_BGRK.softmax(-1, dtype=torch.float32).to(q_HND.dtype)
        out_BGRD: Tensor = share_BGRK[..., trunk:] @ own_v
        if trunk:
            far_GXP = share_BGRK[..., :trunk].transpose(0, 1).reshape(groups, -1, trunk)
            far_GXD = far_GXP @ self._blocks.trunk[layer][1]
            out_BGRD += far_GXD.view(groups, rows, heads // groups, -1).transpose(0, 1)
        return out_BGRD.reshape(1, rows, heads, -1)

    def _mask(self, window: int, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of trunk and block, 0 or minus infinity: shape (B, 1, 1, P + L)."""
        if window not in self._masks:
            place_K = torch.arange(self._blocks.trunk_length + self._longest, device=self.length_B.device)
            behind_BK = self.position_B[:, None] - place_K
            hidden_BK = (behind_BK < 0) | (behind_BK >= window) if window else behind_BK < 0
            mask_BK = torch.zeros(hidden_BK.shape, dtype=dtype, device=hidden_BK.device)
            self._masks[window] = mask_BK.masked_fill_(hidden_BK, -torch.inf)[:, None, None]
        return self._masks[window]


@dataclass
class Recorder:
    """A layout that computes as another one does, and keeps every layer's keys and values.

    Args:
        inner: The layout of nodes of which the first ones are known and not asked, if there are any.
        known: Keys and values of those, by layer, shapes (G, P, D).
    """

    inner: Layout
    known: dict[int, KeysValues] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)  # layer -> (G, N, D)
    values: dict[int, Tensor] = field(default_factory=dict)

    def first(self, nodes: int) -> dict[int, KeysValues]:
        """Keys and values of the pass's first nodes, by layer."""
        return {layer: (k[:, :nodes].clone(), self.values[layer][:, :nodes].clone()) for layer, k in self.keys.items()}

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        self.keys[layer], self.values[layer] = k_GND[0], v_GND[0]
        if layer not in self.known or not self.known[layer][0].shape[1]:
            return self.inner.attend(layer, q_HND, k_GND, v_GND, scaling, window)
        k_GPD, v_GPD = self.known[layer]
        count = k_GPD.shape[1]
        # Queries of zero, whose answers are left out: no backend needs to know of nodes that are not asked.
        q_HND = pad(q_HND, (0, 0, count, 0))
        k_GND, v_GND = torch.cat([k_GPD[None], k_GND], dim=2), torch.cat([v_GPD[None], v_GND], dim=2)
        return self.inner.attend(layer, q_HND, k_GND, v_GND, scaling, window)[:, count:]


@dataclass(frozen=True)
class Both:
    """The layout of N nodes that are read, and behind them of B rows' next tokens.

    Args:
        read: Of the nodes.
        nodes: How many they are, N.
        step: Of the rows.
    """

    read: Recorder
    nodes: int
    step: Step

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        asked = (q_HND, k_GND, v_GND)
        first, then = [x[:, :, : self.nodes] for x in asked], [x[:, :, self.nodes :] for x in asked]
        layouts: tuple[Layout, Layout] = self.read, self.step
        found = [
            layout.attend(layer, q, k, v, scaling, window)
            for layout, (q, k, v) in zip(layouts, (first, then), strict=True)
            if q.shape[2]
        ]
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)
