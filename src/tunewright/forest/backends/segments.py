"""Each unbranched stretch of the forest attends to its own root path: cost follows path lengths, not nodes squared.

A segment is a run of nodes without a branch. Its queries see the segment's ancestors and, causally, itself. Keys and
values of that root path are gathered; segments of like size are padded to one shape and computed together. A row that
is read both ways is one segment, all of which is seen.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.forest.forest import Forest, Ints

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tunewright.forest.layout import Layout


class Config(PluginConfig):
    """No settings."""

    name: Literal["segments"] = "segments"


def unfit(device: torch.device) -> str:
    """Fits every device."""
    return ""


def build(forest: Forest, device: torch.device) -> Layout:
    """The layout of a forest."""
    return _Segments(forest, device)


@dataclass(frozen=True)
class _Bucket:
    """Segments of like size, padded to one shape (S segments, Q queries, K keys)."""

    shape: tuple[int, int, int]
    visible_SQK: Tensor
    distance_SQK: Tensor  # how far the key lies from the query, for windows
    masks: dict[tuple[int, torch.dtype], Tensor] = field(default_factory=dict)  # made once, for all layers

    def mask(self, window: int, dtype: torch.dtype) -> Tensor:
        """What is added to the products of queries and keys: 0 where seen, -inf elsewhere, shape (S, 1, Q, K)."""
        if (window, dtype) not in self.masks:
            visible_SQK = self.visible_SQK & (self.distance_SQK < window) if window else self.visible_SQK
            zero_SQK = self.visible_SQK.new_zeros(self.shape, dtype=dtype)
            self.masks[window, dtype] = zero_SQK.masked_fill_(~visible_SQK, float("-inf"))[:, None]
        return self.masks[window, dtype]


class _Segments:
    def __init__(self, forest: Forest, device: torch.device) -> None:
        import torch

        self._buckets, queries, keys = [], [], []
        for members in bucket(split_segments(forest)):
            query_SQ, key_SK, at_SQ = _padded(forest, members)
            distance_SQK = at_SQ[:, :, None] - np.arange(key_SK.shape[1])
            visible_SQK = distance_SQK >= 0
            if forest.both_ways:  # all of the row is seen, and its last place tells how long it is
                visible_SQK = (at_SQ >= 0)[:, :, None] & (np.arange(key_SK.shape[1]) <= at_SQ.max(1)[:, None, None])
            # Padding queries see the first key, so that no softmax is over nothing; their answers are never read.
            padding_SQK = (at_SQ < 0)[:, :, None] & (np.arange(key_SK.shape[1]) == 0)
            shape = (*query_SQ.shape, key_SK.shape[1])
            seen_SQK = torch.tensor(visible_SQK | padding_SQK, device=device)
            self._buckets.append(_Bucket(shape, seen_SQK, torch.tensor(np.abs(distance_SQK), device=device)))
            queries.append(np.where(at_SQ < 0, -1, query_SQ).reshape(-1))
            keys.append(key_SK.reshape(-1))
        self._query_rows, self._key_rows = list(map(len, queries)), list(map(len, keys))
        self._queries = Gather(np.concatenate(queries), forest.nodes, device)
        self._keys = Gather(np.concatenate(keys), forest.nodes, device)

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        (heads, nodes, width), groups = q_HND.shape[1:], k_GND.shape[1]
        q_row = self._queries.spread(q_HND[0].transpose(0, 1).reshape(nodes, -1))
        kv_NX = torch.cat([x[0].transpose(0, 1).reshape(nodes, -1) for x in (k_GND, v_GND)], dim=1)
        kv_row = self._keys.spread(kv_NX)
        widths, answers = [groups * width, kv_NX.shape[1] - groups * width], []
        # Split, not sliced: a slice's gradient is a whole array of zeros, one for each bucket, to be added up.
        split_q, split_kv = torch.split(q_row, self._query_rows), torch.split(kv_row, self._key_rows)
        for part, q_rows, kv_rows in zip(self._buckets, split_q, split_kv, strict=True):
            segments, queries, keys = part.shape
            q_SHQD = q_rows.view(segments, queries, heads, width).transpose(1, 2)
            k_SGKD, v_SGKD = (
                x.reshape(segments, keys, groups, -1).transpose(1, 2) for x in torch.split(kv_rows, widths, dim=1)
            )
            out_SHQD = scaled_dot_product_attention(
                q_SHQD,
                k_SGKD,
                v_SGKD,
                attn_mask=part.mask(window, q_row.dtype),
                scale=scaling,
                enable_gqa=heads != groups,
            )
            answers.append(out_SHQD.transpose(1, 2).reshape(segments * queries, -1))
        return self._queries.collect(torch.cat(answers)).view(1, nodes, heads, -1)


class Gather:
    """Copies nodes' rows to places, and sums places' rows back into nodes: each is the other's gradient.

    Both ways are matrix products with a fixed sparse matrix or plain copies, so they are quick and give the same
    bits each time; the library's own gradient of an index adds in an order of its own.

    Args:
        node: Which node each place shows; -1 for padding, shape (R,).
        nodes: Number of nodes, N.
    """

    def __init__(self, node: Ints, nodes: int, device: torch.device) -> None:
        import torch

        real = np.flatnonzero(node >= 0)
        order = real[np.argsort(node[real], kind="stable")]
        uses = np.bincount(node[real], minlength=nodes)
        self.node_R = torch.tensor(np.maximum(node, 0), device=device)
        self.padding_R = torch.tensor(node < 0, device=device) if len(real) < len(node) else None
        # One place for each node: the sum back is a copy.
        self.place_N = torch.tensor(order, device=device) if (uses == 1).all() else None
        self._starts, self._order, self._shape = np.cumsum([0, *uses]), order, (nodes, len(node))
        self._sums: dict[torch.dtype, Tensor] = {}

    def spread(self, row_NX: Tensor) -> Tensor:
        """Nodes' rows at their places, shape (R, X). Padding shows node 0."""
        return _functions()[0].apply(row_NX, self)  # type: ignore[no-any-return]

    def collect(self, row_RX: Tensor) -> Tensor:
        """Sum of the places' rows of each node, shape (N, X). Padding is left out."""
        return _functions()[1].apply(row_RX, self)  # type: ignore[no-any-return]

    def sums(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The sparse (N, R) matrix of ones that adds places up."""
        import torch

        if dtype not in self._sums:
            starts, order = (torch.tensor(x, device=device) for x in (self._starts, self._order))
            ones = torch.ones(len(order), dtype=dtype, device=device)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # "sparse CSR tensors are in beta"
                self._sums[dtype] = torch.sparse_csr_tensor(starts, order, ones, self._shape)
        return self._sums[dtype]


@cache
def _functions() -> tuple[Any, Any]:
    """Autograd's two functions; made at first use, since plug-ins import no torch."""
    import torch

    def spread(row_NX: Tensor, gather: Gather) -> Tensor:
        return row_NX.index_select(0, gather.node_R)

    def collect(row_RX: Tensor, gather: Gather) -> Tensor:
        if gather.place_N is not None:
            return row_RX.index_select(0, gather.place_N)
        # Sparse products of halves do not exist everywhere, and a sum over many places is better kept in full.
        wide = row_RX.float() if row_RX.dtype in (torch.bfloat16, torch.float16) else row_RX
        return (gather.sums(wide.dtype, wide.device) @ wide).to(row_RX.dtype)

    class Spread(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, row_NX: Tensor, gather: Gather) -> Tensor:
            ctx.gather = gather
            return spread(row_NX, gather)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
            return collect(grads[0].contiguous(), ctx.gather), None

    class Collect(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, row_RX: Tensor, gather: Gather) -> Tensor:
            ctx.gather = gather
            return collect(row_RX, gather)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
            row_RX = spread(grads[0], ctx.gather)
            padding_R = ctx.gather.padding_R
            return (row_RX if padding_R is None else row_RX.masked_fill_(padding_R[:, None], 0.0)), None

    return Spread, Collect


def _padded(forest: Forest, members: list[tuple[int, int]]) -> tuple[Ints, Ints, Ints]:
    """Nodes of a bucket's queries and keys, padded with node 0, and the queries' depths, padded with -1."""
    queries = max(end - start for start, end in members)
    keys = max(int(forest.depth[end - 1]) + 1 for _, end in members)
    query_SQ = np.zeros((len(members), queries), dtype=np.int64)
    key_SK = np.zeros((len(members), keys), dtype=np.int64)
    at_SQ = np.full((len(members), queries), -1, dtype=np.int64)
    for s, (start, end) in enumerate(members):
        query_SQ[s, : end - start] = np.arange(start, end)
        at_SQ[s, : end - start] = forest.depth[start:end]
        line = forest.ancestors(end - 1)
        key_SK[s, : len(line)] = line
    return query_SQ, key_SK, at_SQ


def split_segments(forest: Forest) -> list[tuple[int, int]]:
    """The forest's unbranched stretches as (first node, one past the last), in preorder."""
    node = np.arange(forest.nodes)
    children: Ints = np.bincount(forest.parent[forest.parent >= 0], minlength=forest.nodes)
    follows = (forest.parent == node - 1) & (forest.parent >= 0)
    starts = np.flatnonzero(~follows | (children[np.maximum(forest.parent, 0)] > 1))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), forest.nodes], strict=True))


def bucket(segments: list[tuple[int, int]], slack: float = 1.5) -> list[list[tuple[int, int]]]:
    """Groups segments whose lengths differ by no more than `slack`, longest first; short ones go together."""
    groups: list[list[tuple[int, int]]] = []
    for segment in sorted(segments, key=lambda s: (s[0] - s[1], s[0])):
        length = segment[1] - segment[0]
        longest = groups[-1][0][1] - groups[-1][0][0] if groups else 0
        if not groups or longest > max(slack * length, 16):
            groups.append([])
        groups[-1].append(segment)
    return groups
