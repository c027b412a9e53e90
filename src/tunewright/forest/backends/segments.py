"""Each unbranched stretch of the forest attends to its own root path: cost follows path lengths, not nodes squared.

A segment is a run of nodes without a branch. Its queries see the segment's ancestors and, causally, itself. Keys and
values of that root path are gathered; segments of like size are padded to one shape and computed together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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


def build(forest: Forest, device: torch.device) -> Layout:
    """The layout of a forest."""
    return _Segments(forest, device)


@dataclass(frozen=True)
class _Bucket:
    """Segments of like size, padded to one shape (S segments, Q queries, K keys)."""

    query_SQ: Tensor  # node of each query; padding repeats node 0
    key_SK: Tensor  # node of each key; likewise
    visible_SQK: Tensor
    distance_SQK: Tensor  # how far the key lies behind the query, for windows


class _Segments:
    def __init__(self, forest: Forest, device: torch.device) -> None:
        import torch

        segments = split_segments(forest)
        self._buckets = []
        places = np.empty(forest.nodes, dtype=np.int64)  # where each node's answer stands among all buckets' rows
        rows = 0
        for members in bucket(segments):
            queries = max(end - start for start, end in members)
            keys = max(int(forest.depth[end - 1]) + 1 for _, end in members)
            query_SQ = np.zeros((len(members), queries), dtype=np.int64)
            key_SK = np.zeros((len(members), keys), dtype=np.int64)
            at_SQ = np.full((len(members), queries), -1, dtype=np.int64)
            for s, (start, end) in enumerate(members):
                length = end - start
                query_SQ[s, :length] = np.arange(start, end)
                at_SQ[s, :length] = forest.depth[start:end]
                line = forest.ancestors(end - 1)
                key_SK[s, : len(line)] = line
                places[start:end] = rows + s * queries + np.arange(length)
            rows += query_SQ.size
            distance_SQK = at_SQ[:, :, None] - np.arange(keys)
            # Padding queries see the first key, so that no softmax is over nothing; their answers are never read.
            visible_SQK = (distance_SQK >= 0) | ((at_SQ < 0)[:, :, None] & (np.arange(keys) == 0))
            self._buckets.append(
                _Bucket(*(torch.tensor(x, device=device) for x in (query_SQ, key_SK, visible_SQK, distance_SQK)))
            )
        self._places = torch.tensor(places, device=device)

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        q_NHD, k_NGD, v_NGD = (x[0].transpose(0, 1) for x in (q_HND, k_GND, v_GND))
        heads, groups, width = q_NHD.shape[1], k_NGD.shape[1], q_NHD.shape[2]
        answers = []
        for part in self._buckets:
            visible_SQK = part.visible_SQK & (part.distance_SQK < window) if window else part.visible_SQK
            # index_select, because plain indexing has a backward that is not deterministic on several threads
            q_SHQD = q_NHD.index_select(0, part.query_SQ.view(-1)).view(*part.query_SQ.shape, heads, width)
            k_SGKD, v_SGKD = (
                x.index_select(0, part.key_SK.view(-1)).view(*part.key_SK.shape, groups, -1).transpose(1, 2)
                for x in (k_NGD, v_NGD)
            )
            out_SHQD = scaled_dot_product_attention(
                q_SHQD.transpose(1, 2),
                k_SGKD,
                v_SGKD,
                attn_mask=visible_SQK[:, None],
                scale=scaling,
                enable_gqa=heads != groups,
            )
            answers.append(out_SHQD.transpose(1, 2).reshape(-1, heads, v_SGKD.shape[-1]))
        return torch.cat(answers).index_select(0, self._places)[None]


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
