"""States of a frozen model, computed once for each row of a run and kept on disk."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base.files import disk_guard
from tunewright.forest import Forest
from tunewright.forest import Path as ForestPath
from tunewright.forest.edges import EdgeScores, edge_scores
from tunewright.forest.forest import Ints
from tunewright.forest.layout import head
from tunewright.forest.score import grow, run

_NUMBER_BYTES = 4


class FrozenStates:
    """Scores edges where nothing but the head trains.

    The states from which a row predicts are computed when the row is first met, without dropout and without a gradient,
    and read back ever after. Memory holds each row's place in the file, and no states.

    Args:
        model: The frozen model with its head.
        file: Where the states are kept; an older one is replaced.
    """

    def __init__(self, model: Any, file: Path) -> None:
        self._model, self._file = model, file
        self._first: dict[bytes, int] = {}  # row -> its first state in the file
        self._states = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")

    @property
    def rows(self) -> int:
        """Distinct rows whose states are kept."""
        return len(self._first)

    def score(self, forest: Forest, *, smoothing: float = 0.0) -> EdgeScores:
        """What `forest.score.score` gives, differentiable in the head's weights."""
        keys = [_key(path) for path in forest.paths]
        fresh = {key: path for key, path in zip(keys, forest.paths, strict=True) if key not in self._first}
        if fresh:
            self._compute(fresh)
        # The edges leave fewer nodes than the forest has; numbered anew, these are all that the head reads.
        distinct_S, source_E = np.unique(forest.source, return_inverse=True)
        device = next(self._model.parameters()).device
        state_SD = torch.from_numpy(self._read(forest, keys, source_E, len(distinct_S))).to(device)
        return edge_scores(
            state_SD, head(self._model, forest.head), replace(forest, source=source_E), smoothing=smoothing
        )

    def close(self) -> None:
        """Takes the file away; what is scored afterwards is computed anew."""
        self._first.clear()
        self._states = 0
        self._file.unlink(missing_ok=True)

    @torch.no_grad()
    def _compute(self, paths: dict[bytes, ForestPath]) -> None:
        """Computes the states of rows that are met for the first time, and puts them behind the others."""
        key_of = dict(enumerate(paths))
        forest = grow(self._model, [replace(path, row=number) for number, path in enumerate(paths.values())])
        training = self._model.training
        self._model.eval()
        hidden_ND: Tensor = run(self._model, forest).float().cpu()
        self._model.train(training)
        with disk_guard(self._file), self._file.open("ab") as file:
            for place, path in enumerate(forest.paths):
                nodes = forest.source[_edges_of(forest, place)]
                file.write(hidden_ND[torch.from_numpy(nodes)].numpy().tobytes())
                self._first[key_of[path.row]] = self._states
                self._states += len(nodes)

    def _read(
        self, forest: Forest, keys: list[bytes], source_E: Ints, sources: int
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The states of a forest's sources, shape (S, D), float32."""
        width = self._file.stat().st_size // (_NUMBER_BYTES * self._states)
        kept = np.memmap(self._file, np.float32, "r", shape=(self._states, width))
        state_SD = np.empty((sources, width), dtype=np.float32)
        for place, key in enumerate(keys):
            edges = _edges_of(forest, place)
            state_SD[source_E[edges]] = kept[self._first[key] : self._first[key] + len(edges)]
        return state_SD


def _key(path: ForestPath) -> bytes:
    """What decides a row's states: its tokens, which text each belongs to, and which tokens predict."""
    types = b"" if path.types is None else np.ascontiguousarray(path.types).tobytes()
    parts = (np.ascontiguousarray(path.tokens).tobytes(), types, path.edges()[0].tobytes())
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def _edges_of(forest: Forest, path: int) -> Ints:
    """The edges of one path, in order."""
    return forest.path_edge[forest.path_start[path] : forest.path_start[path + 1]]
