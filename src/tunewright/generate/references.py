"""Log-probabilities of references behind their prompts, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.forest import Forest
from tunewright.forest.edges import EdgeScores
from tunewright.forest.forest import cut
from tunewright.forest.score import grow, score
from tunewright.generate.draft import Asked

_NODES = 4096  # of a piece


def reference_logprobs(model: Any, asked: Sequence[Asked]) -> list[list[float]]:
    """Of each prompt's reference the log-probability of each token, in nats."""
    found: dict[int, list[float]] = {}
    for piece in cut(grow(model, [one.path() for one in asked]), _NODES):
        found |= by_row(piece, score(model, piece))
    return [found[one.row] for one in asked]


def by_row(forest: Forest, scores: EdgeScores) -> dict[int, list[float]]:
    """By path's row, the log-probability of each token that the path predicts, in order, in nats."""
    logps = scores.logp.tolist()
    return {
        path.row: [logps[edge] for edge in forest.path_edge[start:end].tolist()]
        for path, start, end in zip(forest.paths, forest.path_start[:-1], forest.path_start[1:], strict=True)
    }
