"""The layout of a server's pass: tokens of prompts that are read, and behind them each row's newest token.

A run of a prompt's tokens attends to its path. A row attends to its own tail, which is one product with all rows'
tails, and to each stretch of slots in front of it, which is one product for all rows behind it. The parts are joined by
the logarithms of their sums (Rabe and Staats 2021, arXiv:2112.05682), so that no keys or values are copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tunewright.generate.serving.pages import Span
from tunewright.generate.serving.store import Store

# Added to the score of what is not seen. Finite: a part of which a row sees nothing weighs nothing, and is a number.
_UNSEEN = -1e30


@dataclass(frozen=True)
class Run:
    """Tokens of one path that are read.

    Args:
        first: Place of its first token in the pass.
        count: Its tokens.
        depth: Position of its first token.
        spans: Slots of its whole path, its last token's included.
    """

    first: int
    count: int
    depth: int
    spans: Sequence[Span]


@dataclass(frozen=True)
class Stretch:
    """Slots in a row that are seen by some rows.

    Args:
        span: The slots.
        depth: Position of the first one.
        rows: Which rows see it, in order.
        level: How many stretches stand in front of it on their way.
    """

    span: Span
    depth: int
    rows: tuple[int, ...]
    level: int


@dataclass(frozen=True)
class Behind:
    """What stands in front of rows' tails, kept from pass to pass as long as no row comes, goes or moves.

    Args:
        start_B: Position of each tail's first token, shape (B,).
        stretches: What stands in front of the tails.
        order_B: The row of each place in a pass, None: in their own order. Rows of one adapter stand side by side.
    """

    start_B: Tensor
    stretches: Sequence[Stretch]
    order_B: Tensor | None
    rows_of: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    @property
    def levels(self) -> int:
        """Parts that a row's answer is joined of, its tail left out."""
        return max((stretch.level for stretch in self.stretches), default=-1) + 1

    def index(self, rows: tuple[int, ...]) -> Tensor | None:
        """Rows as a tensor; None where they are all."""
        if len(rows) == len(self.start_B):
            return None
        if rows not in self.rows_of:
            self.rows_of[rows] = torch.tensor(rows, device=self.start_B.device)
        return self.rows_of[rows]


class PassLayout:
    """Attention of runs, then of B rows.

    Args:
        store: Keys and values.
        runs: Tokens that are read; they stand first in the pass, in this order.
        slot_N: The slots of these.
        behind: What stands in front of the rows' tails.
        lengths: Tokens of each row's tail, the newest not counted, B of them.
    """

    def __init__(
        self, store: Store, runs: Sequence[Run], slot_N: Tensor, behind: Behind, lengths: Sequence[int]
    ) -> None:
        self._store, self._runs, self._slot_N, self._behind = store, runs, slot_N, behind
        device = behind.start_B.device
        self._length_B = torch.tensor(lengths, dtype=torch.long, device=device)
        self._longest = max(lengths, default=0) + 1
        self._row_B = torch.arange(len(lengths), device=device)
        self._masks: dict[tuple[object, ...], Tensor] = {}
        self._parts: tuple[Tensor, Tensor] | None = None

    @property
    def position_B(self) -> Tensor:
        """Position of each row's newest token, in the pass's order."""
        position_B = self._behind.start_B + self._length_B
        return position_B if self._behind.order_B is None else position_B[self._behind.order_B]

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        """As `forest.layout.Layout` has it; a batch of one."""
        read, rows = len(self._slot_N), len(self._length_B)
        out = q_HND.new_empty(1, read + rows, q_HND.shape[1], v_GND.shape[-1])
        if read:
            # All of them are written before any is asked: a run's path may lead through another one of this pass.
            self._store.keys[layer].index_copy_(1, self._slot_N, k_GND[0, :, :read])
            self._store.values[layer].index_copy_(1, self._slot_N, v_GND[0, :, :read])
        for run in self._runs:
            part = slice(run.first, run.first + run.count)
            out[0, part] = self._read(layer, run, q_HND[:, :, part], scaling, window)
        if rows:
            q, k, v = (x[0, :, read:].transpose(0, 1) for x in (q_HND, k_GND, v_GND))
            out[0, read:] = self._write(layer, q, k, v, scaling, window)
        return out

    def _read(self, layer: int, run: Run, q_HnD: Tensor, scaling: float, window: int) -> Tensor:
        """Answers of a run's tokens, shape (n, H, D)."""
        k_GLD, v_GLD = self._store.path(layer, run.spans)
        alone = run.depth == 0 and not window
        found = scaled_dot_product_attention(
            q_HnD,
            k_GLD[None],
            v_GLD[None],
            attn_mask=None if alone else self._run_mask(run, window, k_GLD.shape[1], q_HnD),
            is_causal=alone,
            scale=scaling,
            enable_gqa=q_HnD.shape[1] != k_GLD.shape[0],
        )
        return found[0].transpose(0, 1)

    def _run_mask(self, run: Run, window: int, length: int, like: Tensor) -> Tensor:
        """What is added to the scores of a run's tokens, shape (n, L)."""
        key = ("run", run.first, window)
        if key not in self._masks:
            place_L = torch.arange(length, device=like.device)
            distance_nL = place_L[length - run.count :, None] - place_L
            self._masks[key] = _mask(distance_nL, window, -torch.inf, like.dtype)
        return self._masks[key]

    def _write(self, layer: int, q_BHD: Tensor, k_BGD: Tensor, v_BGD: Tensor, scaling: float, window: int) -> Tensor:
        """Answers of the rows' newest tokens, shape (B, H, D), which join their tails."""
        order = self._behind.order_B
        at_B = (self._row_B, self._length_B) if order is None else (order, self._length_B[order])
        tail_k, tail_v = self._store.tail_keys[layer], self._store.tail_values[layer]
        tail_k[at_B[0], :, at_B[1]] = k_BGD
        tail_v[at_B[0], :, at_B[1]] = v_BGD
        if order is not None:
            q_BHD = torch.empty_like(q_BHD).index_copy_(0, order, q_BHD)
        rows, groups = len(q_BHD), k_BGD.shape[1]
        q_BGRD = q_BHD.reshape(rows, groups, -1, q_BHD.shape[-1])
        own = slice(0, self._longest)
        mask = self._tail_mask(window)
        own_out, own_sum = _part(q_BGRD, tail_k[:rows, :, own], tail_v[:rows, :, own], mask, scaling)
        if self._behind.stretches:
            own_out = self._joined(layer, q_BGRD, own_out, own_sum, scaling, window)
        out_BHD = own_out.reshape(rows, q_BHD.shape[1], -1)
        return out_BHD if order is None else out_BHD[order]

    def _joined(
        self, layer: int, q_BGRD: Tensor, own_out: Tensor, own_sum: Tensor, scaling: float, window: int
    ) -> Tensor:
        """The rows' answers, joined of their tails' part and those of the stretches in front."""
        _, groups, shared, width = q_BGRD.shape
        behind = self._behind
        if self._parts is None or self._parts[0].shape[2:] != own_out.shape[1:]:
            shape = (behind.levels + 1, *own_out.shape)
            self._parts = own_out.new_zeros(shape), own_sum.new_full(shape[:-1], _UNSEEN)
        out_PBGRD, sum_PBGR = self._parts
        out_PBGRD[-1], sum_PBGR[-1] = own_out, own_sum
        keys, values = self._store.keys[layer], self._store.values[layer]
        for stretch in behind.stretches:
            start, stop = stretch.span
            index = behind.index(stretch.rows)
            q_bGRD = q_BGRD if index is None else q_BGRD.index_select(0, index)
            # Queries that share keys stand one below the other: rows of one product.
            q_1GXD = q_bGRD.transpose(0, 1).reshape(1, groups, -1, width)
            mask = self._stretch_mask(stretch, window, shared)
            out, total = _part(q_1GXD, keys[None, :, start:stop], values[None, :, start:stop], mask, scaling)
            out = out.view(groups, -1, shared, out.shape[-1]).transpose(0, 1)
            total = total.view(groups, -1, shared).transpose(0, 1)
            if index is None:
                out_PBGRD[stretch.level], sum_PBGR[stretch.level] = out, total
            else:
                out_PBGRD[stretch.level].index_copy_(0, index, out)
                sum_PBGR[stretch.level].index_copy_(0, index, total)
        weight_PBGR = sum_PBGR.softmax(0).to(out_PBGRD.dtype)
        return (out_PBGRD * weight_PBGR[..., None]).sum(0)

    def _tail_mask(self, window: int) -> Tensor:
        """What is added to the scores of the tails, shape (B, 1, 1, L)."""
        key = ("tail", window)
        if key not in self._masks:
            distance_BL = self._length_B[:, None] - torch.arange(self._longest, device=self._length_B.device)
            self._masks[key] = _mask(distance_BL, window, _UNSEEN)[:, None, None]
        return self._masks[key]

    def _stretch_mask(self, stretch: Stretch, window: int, shared: int) -> Tensor | None:
        """What is added to the scores of a stretch's keys, shape (1, 1, b R, n); None where all of them are seen."""
        if not window:
            return None
        key = ("stretch", stretch.span[0], window)
        if key not in self._masks:
            index = self._behind.index(stretch.rows)
            position_b = self._behind.start_B + self._length_B
            position_b = position_b if index is None else position_b.index_select(0, index)
            start, stop = stretch.span
            distance_bn = position_b[:, None] - stretch.depth - torch.arange(stop - start, device=position_b.device)
            self._masks[key] = _mask(distance_bn, window, _UNSEEN).repeat_interleave(shared, 0)[None, None]
        return self._masks[key]


def _mask(distance: Tensor, window: int, unseen: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """0 where a key stands at or in front of its query and within the window, elsewhere what makes it unseen."""
    hidden = (distance < 0) | (distance >= window) if window else distance < 0
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, unseen)


def _part(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float) -> tuple[Tensor, Tensor]:
    """Attention to a part of what is seen, and the logarithm of its sum of exponentials.

    Args:
        q: Shape (b, G, X, D).
        k: Shape (b, G, n, D).
        v: Likewise.
        mask: Added to scores, of a shape that spreads to (b, G, X, n); None for none.
    Returns:
        Shapes (b, G, X, D) and (b, G, X), the second in float32.
    """
    score = (q * scaling) @ k.transpose(-1, -2)
    score = score.float()
    if mask is not None:
        score += mask
    total = score.logsumexp(-1)
    share = (score - total[..., None]).exp_().to(v.dtype)
    return share @ v, total
