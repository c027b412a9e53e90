"""Each segment of the forest attends to its own root path: cost follows path lengths, not nodes squared.

A segment is a run of nodes that stand one behind the other, branches or not. What its nodes see lies in the segment
itself or on the root path of its first node; these keys and values are gathered, and a mask says who sees which.
Segments that see like numbers of keys are padded to one shape and computed together. A row that is read both ways is
one segment.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.forest.forest import Forest, Ints

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tunewright.forest.layout import Layout


_SHORTEST, _LONGEST = 64, 512  # nodes of a segment
_KEYS = 16  # keys come in multiples of this: few shapes, for which products are made ready once


class Config(PluginConfig):
    """No settings."""

    name: Literal["segments"] = "segments"


def unfit(device: torch.device) -> str:
    """Fits every device."""
    return ""


def build(forest: Forest, device: torch.device) -> Layout:
    """The layout of a forest."""
    return _Segments(forest, device)


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of nodes.

    Args:
        start: Its first node.
        end: One past its last.
        keys: The nodes that any of its nodes sees, in order, its own among them.
    """

    start: int
    end: int
    keys: Ints


def arrange(forest: Forest) -> list[list[Segment]]:
    """The forest's segments, each node in one; those that are computed together, together, in preorder."""
    if forest.both_ways:
        starts, short = np.flatnonzero(forest.parent < 0).tolist(), 16
    else:
        length = _length(forest)
        starts, short = list(range(0, forest.nodes, length)), 3 * length
    segments = [
        Segment(start, end, np.concatenate([forest.ancestors(start)[:-1], np.arange(start, end)]))
        for start, end in pairwise([*starts, forest.nodes])
    ]
    groups = bucket([len(segment.keys) for segment in segments], short=short)
    return [[segments[number] for number in sorted(group)] for group in groups]


def _length(forest: Forest) -> int:
    """How many nodes a segment has.

    Short ones multiply little that is masked, long ones gather a path for more nodes at once: half of the usual depth
    is between the two. Where some number near it cuts the forest into equal segments, no query is padded.
    """
    usual = int(forest.depth.mean()) // 2 if forest.nodes else 0
    most = min(_LONGEST, max(_SHORTEST, 1 << max(0, usual.bit_length() - 1)))
    return next((length for length in range(most, most // 2, -1) if forest.nodes % length == 0), most)


class _Segments:
    def __init__(self, forest: Forest, device: torch.device) -> None:
        import torch

        from tunewright.forest.backends._rows import Bucket, Rows

        buckets, queries, keys = [], [], []
        for members in arrange(forest):
            query_SQ, key_SK = shown(members)
            query_SQ1, key_S1K = query_SQ[:, :, None], key_SK[:, None]
            seen_SQK = (forest.begin[key_S1K] <= query_SQ1) & (query_SQ1 < forest.end[key_S1K]) & (key_S1K >= 0)
            far_SQK = np.abs(forest.depth[query_SQ1] - forest.depth[key_S1K])
            # Padding queries see the first key, so that no softmax is over nothing; their answers are never read.
            padding_SQK = (query_SQ1 < 0) & (np.arange(key_SK.shape[1]) == 0)
            seen_SQK, far_SQK = seen_SQK | padding_SQK, np.where(padding_SQK, 0, far_SQK)
            buckets.append(Bucket(torch.tensor(seen_SQK, device=device), torch.tensor(far_SQK, device=device)))
            queries.append(query_SQ.reshape(-1))
            keys.append(key_SK.reshape(-1))
        self._rows = Rows(buckets)
        self._queries = Gather(np.concatenate(queries), forest.nodes, device)
        self._keys = Gather(np.concatenate(keys), forest.nodes, device)

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        import torch

        from tunewright.forest.backends._rows import Sizes

        (heads, nodes), (groups, _, width) = q_HND.shape[1:3], k_GND.shape[1:]
        q_row = self._queries.spread(q_HND[0].transpose(0, 1).reshape(nodes, -1))
        kv_NX = torch.cat([x[0].transpose(0, 1).reshape(nodes, -1) for x in (k_GND, v_GND)], dim=1)
        sizes = Sizes(heads, groups, groups * width)
        out_row = self._rows.attend(q_row, self._keys.spread(kv_NX), sizes, scaling, window)
        return self._queries.collect(out_row).view(1, nodes, heads, -1)


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
        # One place for each node: the sum back is a copy, or nothing at all.
        self.place_N = torch.tensor(order, device=device) if (uses == 1).all() else None
        self.is_plain = len(node) == nodes and bool((node == np.arange(nodes)).all())
        self._starts, self._order, self._shape = np.cumsum([0, *uses]), order, (nodes, len(node))
        self._sums: dict[torch.dtype, Tensor] = {}

    def spread(self, row_NX: Tensor) -> Tensor:
        """Nodes' rows at their places, shape (R, X). Padding shows node 0."""
        if self.is_plain:
            return row_NX
        return _functions()[0].apply(row_NX, self)  # type: ignore[no-any-return]

    def collect(self, row_RX: Tensor) -> Tensor:
        """Sum of the places' rows of each node, shape (N, X). Padding is left out."""
        if self.is_plain:
            return row_RX
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


def shown(members: Sequence[Segment]) -> tuple[Ints, Ints]:
    """Nodes that segments' queries and keys show, padded with -1 to one shape (S, Q) and (S, K)."""
    query_SQ = np.full((len(members), max(each.end - each.start for each in members)), -1, dtype=np.int64)
    longest = max(len(each.keys) for each in members)
    key_SK = np.full((len(members), -(-longest // _KEYS) * _KEYS), -1, dtype=np.int64)
    for s, each in enumerate(members):
        query_SQ[s, : each.end - each.start] = np.arange(each.start, each.end)
        key_SK[s, : len(each.keys)] = each.keys
    return query_SQ, key_SK


def bucket(lengths: Sequence[int], *, slack: float = 1.5, short: int = 16) -> list[list[int]]:
    """Groups things by their lengths, which differ by no more than `slack` in a group, longest first.

    Args:
        lengths: Of each thing.
        slack: The longest's over the shortest's.
        short: Whatever is no longer than this goes together.
    Returns:
        Places in `lengths`.
    """
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda each: (-lengths[each], each)):
        if not groups or lengths[groups[-1][0]] > max(slack * lengths[place], short):
            groups.append([])
        groups[-1].append(place)
    return groups
