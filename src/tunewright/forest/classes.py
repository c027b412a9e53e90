"""What a head says of every class, for rows whose own class is not known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.base import events
from tunewright.forest.forest import Path, cut
from tunewright.forest.layout import head
from tunewright.forest.score import grow, run


@torch.no_grad()
def class_logp(
    model: nn.Module,
    paths: Sequence[Path],
    *,
    node_budget: int = 4096,
    backend: str | None = None,
    listener: events.Listener = events.ignore,
) -> list[NDArray[np.float64]]:
    """Log-probabilities of all classes at each edge of each path, in nats, shapes (edges of the path, classes).

    The edges' own targets do not matter. Reports progress as a stage "generate", counted in rows.

    Args:
        model: Adopted, with the paths' head.
        paths: Their rows need not be told apart.
        node_budget: Nodes computed at once.
    """
    numbered = [Path(p.tokens, p.weights, n, n, p.head, p.targets, p.both_ways, p.types) for n, p in enumerate(paths)]
    classes = head(model, paths[0].head).out_features if paths else 0
    found: list[NDArray[np.float64]] = [np.empty((0, classes))] * len(paths)
    done = 0
    for piece in cut(grow(model, numbered), node_budget):
        if piece.nodes:
            distinct, place_E = np.unique(piece.source, return_inverse=True)
            states_SD = run(model, piece, backend)[torch.from_numpy(distinct)]
            logp_SC = head(model, piece.head)(states_SD).double().log_softmax(-1).cpu().numpy()
            for place, path in enumerate(piece.paths):
                edges = piece.path_edge[piece.path_start[place] : piece.path_start[place + 1]]
                found[path.row] = logp_SC[place_E[edges]]
        done += len(piece.paths)
        listener(events.Stage("generate", "progress", done, len(paths), "answers"))
    return found
