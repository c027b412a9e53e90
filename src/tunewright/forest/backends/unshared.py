"""Each path for itself, through the model's own forward pass: for layers whose states a forest cannot share.

State-space and recurrent layers carry a state along the row, and some attentions place tokens by their index. Such a
model reads plain rows, padded on the right, and each node takes its state from one row through it. In a causal model
nothing sees what stands behind it, so the padding needs no mask. Where the forest is built without sharing
(`forest.build(paths, shared=False)`), dropout and noise are drawn for each row on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.forest.backends.segments import Gather, bucket
from tunewright.forest.forest import Forest, Ints

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Config(PluginConfig):
    """No settings."""

    name: Literal["unshared"] = "unshared"


def unfit(device: torch.device) -> str:
    """Fits every device."""
    return ""


def states(model: Any, forest: Forest) -> Tensor:
    """Final hidden states of a forest's nodes, shape (N, D), from rows; the model's attention is its own."""
    import torch

    from tunewright.forest.layout import backbone, to_tensor, unwrap
    from tunewright.forest.virtual import row_inputs

    device = next(model.parameters()).device
    embedded_ND = unwrap(model).get_input_embeddings()(to_tensor(forest.token, device))
    if not forest.nodes:
        return embedded_ND  # type: ignore[no-any-return]
    groups, place_N = padded_rows(forest)
    read = Gather(np.concatenate([group.reshape(-1) for group in groups]), forest.nodes, device).spread(embedded_ND)
    found, start = [], 0
    for rows, length in (group.shape for group in groups):
        row_BTD = read[start : start + rows * length].view(rows, length, -1)
        hidden_BTD = backbone(model)(**row_inputs(model, row_BTD), use_cache=False).last_hidden_state[:, -length:]
        found.append(hidden_BTD.reshape(rows * length, -1))
        start += rows * length
    return torch.cat(found).index_select(0, to_tensor(place_N, device))


def padded_rows(forest: Forest) -> tuple[list[Ints], Ints]:
    """The forest's root paths as rows of like length, padded on the right.

    Returns:
        Groups of rows as the nodes that they show, -1 for padding, shapes (B, T); and for each node the place, among
        the entries of all groups one after the other, that gives its state, shape (N,).
    """
    leaves = np.flatnonzero(forest.end == np.arange(forest.nodes) + 1)
    spans = [(leaf - int(forest.depth[leaf]), leaf + 1) for leaf in leaves.tolist()]
    groups, start = [], 0
    place_N = np.full(forest.nodes, -1, dtype=np.int64)
    for members in bucket([end - start for start, end in spans]):
        lines = [forest.ancestors(spans[member][1] - 1) for member in members]
        node_BT = np.full((len(lines), max(map(len, lines))), -1, dtype=np.int64)
        for row, line in enumerate(lines):
            node_BT[row, : len(line)] = line
            fresh = place_N[line] < 0
            place_N[line[fresh]] = start + row * node_BT.shape[1] + np.flatnonzero(fresh)
        groups.append(node_BT)
        start += node_BT.size
    return groups, place_N
