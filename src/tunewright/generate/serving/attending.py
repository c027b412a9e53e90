"""The layout of a server's pass: tokens of prompts that are read, and behind them each row's newest ones.

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
    """

    start_B: Tensor
    stretches: Sequence[Stretch]
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


@dataclass(frozen=True)
class Newest:
    """Rows' newest tokens, T of them, as they stand in a pass.

    Args:
        lengths: Tokens of each row's tail in front of these.
        rows: Each token's row; a row's tokens stand side by side, in order.
        nth: Which of its row's newest tokens each is.
    """

    lengths: Sequence[int]
    rows: Sequence[int]
    nth: Sequence[int]


class PassLayout:
    """Attention of runs, then of rows' newest tokens.

    Args:
        store: Keys and values.
        runs: Tokens that are read; they stand first in the pass, in this order.
        slot_N: The slots of these.
        behind: What stands in front of the rows' tails.
        newest: Of the rows.
    """

    def __init__(self, store: Store, runs: Sequence[Run], slot_N: Tensor, behind: Behind, newest: Newest) -> None:
        self._store, self._runs, self._slot_N, self._behind = store, runs, slot_N, behind
        device = behind.start_B.device
        self._length_B = torch.tensor(newest.lengths, dtype=torch.long, device=device)
        self._row_T, nth_T = torch.tensor([newest.rows, newest.nth], dtype=torch.long, device=device)
        self._slot_T = self._length_B[self._row_T] + nth_T
        self._deep = max(newest.nth, default=0) + 1  # newest tokens of a row, Q
        # What is padded beside a row's tokens is asked nothing, and must not lead out of the tails.
        self._longest = (
            max((newest.lengths[row] + nth for row, nth in zip(newest.rows, newest.nth, strict=True)), default=0) + 1
        )
        # Rows stand in their own order and have one token each, mostly; else places are padded to Q for each row.
        alike = self._deep == 1 and list(newest.rows) == list(range(len(newest.rows)))
        self._place_T = None if alike else self._row_T * self._deep + nth_T
        self._masks: dict[tuple[object, ...], Tensor] = {}
        self._parts: tuple[Tensor, Tensor] | None = None

    @property
    def position_T(self) -> Tensor:
        """Position of each of the rows' newest tokens."""
        position_T: Tensor = self._behind.start_B[self._row_T] + self._slot_T
        return position_T

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        """As `forest.layout.Layout` has it; a batch of one."""
        read, rows = len(self._slot_N), len(self._row_T)
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

    def _write(self, layer: int, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, scaling: float, window: int) -> Tensor:
        """Answers of the rows' newest tokens, shape (T, H, D), which join their tails."""
        tail_k, tail_v = self._store.tail_keys[layer], self._store.tail_values[layer]
        tail_k[self._row_T, :, self._slot_T] = k_TGD
        tail_v[self._row_T, :, self._slot_T] = v_TGD
        rows, heads, groups = len(self._length_B), q_THD.shape[1], k_TGD.shape[1]
        if self._place_T is not None:
            q_THD = q_THD.new_zeros(rows * self._deep, *q_THD.shape[1:]).index_copy_(0, self._place_T, q_THD)
        # Queries that share keys stand one below the other, rows of one product: X = Q H / G of them.
        q_BQGRD = q_THD.reshape(rows, self._deep, groups, heads // groups, -1)
        q_BGXD = q_BQGRD.transpose(1, 2).reshape(rows, groups, -1, q_BQGRD.shape[-1])
        mask = self._tail_mask(window, heads // groups)
        own = slice(0, self._longest)
        out_BGXD, sum_BGX = _part(q_BGXD, tail_k[:rows, :, own], tail_v[:rows, :, own], mask, scaling)
        if self._behind.stretches:
            out_BGXD = self._joined(layer, q_BGXD, out_BGXD, sum_BGX, scaling, window)
        out_BQGRD = out_BGXD.reshape(rows, groups, self._deep, heads // groups, -1).transpose(1, 2)
        out_YHD: Tensor = out_BQGRD.reshape(rows * self._deep, heads, -1)
        return out_YHD if self._place_T is None else out_YHD.index_select(0, self._place_T)

    def _joined(
        self, layer: int, q_BGXD: Tensor, own_out: Tensor, own_sum: Tensor, scaling: float, window: int
    ) -> Tensor:
        """The rows' answers, joined of their tails' part and those of the stretches in front."""
        _, groups, asked, width = q_BGXD.shape
        behind = self._behind
        if self._parts is None or self._parts[0].shape[1:] != own_out.shape:
            shape = (behind.levels + 1, *own_out.shape)
            self._parts = own_out.new_zeros(shape), own_sum.new_full(shape[:-1], _UNSEEN)
        out_PBGXD, sum_PBGX = self._parts
        out_PBGXD[-1], sum_PBGX[-1] = own_out, own_sum
        keys, values = self._store.keys[layer], self._store.values[layer]
        for stretch in behind.stretches:
            start, stop = stretch.span
            index = behind.index(stretch.rows)
            q_bGXD = q_BGXD if index is None else q_BGXD.index_select(0, index)
            q_1GYD = q_bGXD.transpose(0, 1).reshape(1, groups, -1, width)
            mask = self._stretch_mask(stretch, window, asked)
            out, total = _part(q_1GYD, keys[None, :, start:stop], values[None, :, start:stop], mask, scaling)
            out = out.view(groups, -1, asked, out.shape[-1]).transpose(0, 1)
            total = total.view(groups, -1, asked).transpose(0, 1)
            if index is None:
                out_PBGXD[stretch.level], sum_PBGX[stretch.level] = out, total
            else:
                out_PBGXD[stretch.level].index_copy_(0, index, out)
                sum_PBGX[stretch.level].index_copy_(0, index, total)
        weight_PBGX = sum_PBGX.softmax(0).to(out_PBGXD.dtype)
        return (out_PBGXD * weight_PBGX[..., None]).sum(0)

    def _tail_mask(self, window: int, shared: int) -> Tensor:
        """What is added to the scores of the tails, shape (B, 1, X, L), or (B, 1, 1, L) where that is all the same."""
        key = ("tail", window)
        if key not in self._masks:
            device = self._length_B.device
            at_BQ = self._length_B[:, None] + torch.arange(self._deep, device=device)
            mask_BQL = _mask(at_BQ[..., None] - torch.arange(self._longest, device=device), window, _UNSEEN)
            self._masks[key] = (mask_BQL if self._deep == 1 else mask_BQL.repeat_interleave(shared, 1))[:, None]
        return self._masks[key]

    def _stretch_mask(self, stretch: Stretch, window: int, asked: int) -> Tensor | None:
        """What is added to the scores of a stretch's keys, shape (1, 1, b X, n); None where all of them are seen."""
        if not window:
            return None
        key = ("stretch", stretch.span[0], window)
        if key not in self._masks:
            index, device = self._behind.index(stretch.rows), self._length_B.device
            at_B = self._behind.start_B + self._length_B
            at_b = at_B if index is None else at_B.index_select(0, index)
            at_bQ = at_b[:, None] + torch.arange(self._deep, device=device)
            start, stop = stretch.span
            distance_bQn = at_bQ[..., None] - stretch.depth - torch.arange(stop - start, device=device)
            mask_yn = _mask(distance_bQn, window, _UNSEEN).flatten(0, 1)
            self._masks[key] = mask_yn.repeat_interleave(asked // self._deep, 0)[None, None]
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
    if q.device.type == "cpu" and k.shape[-1] == v.shape[-1]:
        # One kernel instead of six, which says the logarithm as well: half the time, in bfloat16 a quarter.
        spread = None if mask is None else mask.to(q.dtype).expand(*q.shape[:-1], k.shape[-2])
        out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, False, attn_mask=spread, scale=scaling
        )
        return out, total.view(q.shape[:-1])
    score = (q * scaling) @ k.transpose(-1, -2)
    score = score.float()
    if mask is not None:
        score += mask
    total = score.logsumexp(-1)
    share = (score - total[..., None]).exp_().to(v.dtype)
    return share @ v, total
