"""The model on a forest: states, edge scores, and path scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.base import events
from tunewright.base.errors import TunewrightError
from tunewright.base.plugins import BACKENDS
from tunewright.forest import layout as layouts
from tunewright.forest import seq2seq
from tunewright.forest.edges import EdgeScores, edge_scores
from tunewright.forest.forest import Floats, Forest, Path, build, cut, fill, plant
from tunewright.forest.sizes import few_sizes, prepares_products
from tunewright.forest.virtual import virtual_count


def grow(model: nn.Module, paths: Sequence[Path]) -> Forest:
    """Paths as the forest that an adopted model computes: merged, unless its backend shares nothing."""
    return build(paths, shared=layouts.shares(model))


def run(model: nn.Module, forest: Forest, backend: str | None = None) -> Tensor:
    """Final hidden states of a forest's nodes, shape (N, D).

    Args:
        model: Adopted (`layout.adopt`).
        forest: Of any paths.
        backend: Another one than was chosen for the model; both of them share prefixes.
    """
    layouts.check_direction(model, forest)
    if seq2seq.is_encoder_decoder(model):
        return seq2seq.hidden_states(model, forest)
    chosen = layouts.backend_of(model)
    name = backend or chosen
    if (name == layouts.UNSHARED) != (chosen == layouts.UNSHARED):
        raise TunewrightError(f"A model that was prepared for the backend '{chosen}' was called with '{name}'")
    if name == layouts.UNSHARED:
        states: Tensor = BACKENDS.call(name, "states", model, forest)
        return states
    weight = next(model.parameters())
    filled = fill(forest, few_sizes(forest.nodes)) if prepares_products(weight) else forest
    layout: layouts.Layout = BACKENDS.call(name, "build", plant(filled, virtual_count(model)), weight.device)
    token_N, depth_N = (layouts.to_tensor(array, weight.device) for array in (filled.token, filled.depth))
    return layouts.hidden_states(model, token_N, depth_N, layout, filled.types)[: forest.nodes]


def score(model: nn.Module, forest: Forest, backend: str | None = None, *, smoothing: float = 0.0) -> EdgeScores:
    """Scores of a forest's edges under a model; `smoothing` as `edge_scores` has it."""
    return edge_scores(run(model, forest, backend), layouts.head(model, forest.head), forest, smoothing=smoothing)


@torch.no_grad()
def score_paths(
    model: nn.Module,
    paths: Sequence[Path],
    *,
    node_budget: int = 4096,
    backend: str | None = None,
    listener: events.Listener = events.ignore,
) -> Floats:
    """Each path's weighted log-probability, in nats, in the order of `paths`, shape (len(paths),).

    Reports progress as a stage "score", counted in paths.
    """
    numbered = [replace(path, row=index) for index, path in enumerate(paths)]
    total = np.zeros(len(paths))
    done = 0
    for piece in cut(grow(model, numbered), node_budget):
        if piece.nodes:
            total[[path.row for path in piece.paths]] = path_logp(score(model, piece, backend), piece)
        done += len(piece.paths)
        listener(events.Stage("score", "progress", done, len(paths), "paths"))
    return total


def path_logp(scores: EdgeScores, forest: Forest) -> Floats:
    """Each path's weighted sum of edge log-probabilities, in nats, in the forest's order, shape (P,)."""
    entries = scores.logp.double().cpu().numpy()[forest.path_edge] * forest.path_weight
    sums: Floats = np.bincount(forest.path_of_entry(), weights=entries, minlength=len(forest.paths)).astype(float)
    return sums
