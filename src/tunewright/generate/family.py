"""Decoding on a cache that is a forest: prompts that begin alike, read and answered side by side.

Each pass of the model reads the prompts of some new rows, merged into a forest behind what all rows begin with, and in
the same products of matrices the newest token of every row that is being answered. A row that ends makes place for one
that waits, so that the products stay wide. References are read behind their prompts: as long as the reference's next
token is the most probable one it is the answer's too, and is not computed again.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tunewright.base.plugins import BACKENDS
from tunewright.forest import Forest, build
from tunewright.forest import layout as layouts
from tunewright.forest.edges import EdgeScores, edge_scores
from tunewright.forest.forest import plant
from tunewright.forest.virtual import virtual_count
from tunewright.generate.cache import Blocks, Both, Recorder
from tunewright.generate.draft import Asked, Draft, Rules
from tunewright.generate.references import by_row
from tunewright.generate.sampling import choose

# Nodes of new rows in one pass: wider products are no quicker, and only take memory.
_NODES = 2048
# New rows wait until this share of the places is free: each reading has a forest to lay out.
_FREE_SHARE = 0.06
# So many prompts that begin with so many more tokens in common than all of them are a family of their own.
_MANY, _MUCH = 16, 64


def families(asked: Sequence[Asked]) -> list[list[Asked]]:
    """Prompts by how they begin: those of one family are decoded together and keep their common beginning once.

    What begins otherwise, such as rows without the others' long system message, stays out where it would leave many
    others much less to share.
    """
    return _split(sorted(asked, key=lambda one: list(one.prompt)))


def _split(order: list[Asked]) -> list[list[Asked]]:
    common = [_common(one.prompt, other.prompt) for one, other in itertools.pairwise(order)]
    least = min(common, default=0)
    cuts = [place + 1 for place, length in enumerate(common) if length == least]
    pieces = [order[start:end] for start, end in itertools.pairwise([0, *cuts, len(order)])]
    found, rest = list[list[Asked]](), list[Asked]()
    for piece in pieces:
        if len(piece) >= _MANY and _common(piece[0].prompt, piece[-1].prompt) - least > _MUCH:
            found += _split(piece)
        else:
            rest += piece
    return [*found, rest] if rest else found


@dataclass(frozen=True)
class _Fresh:
    """A new row's answer, and the node of a pass behind which it goes on."""

    draft: Draft
    node: int


class Family:
    """Prompts with one beginning, and the answers that are being written to them.

    Args:
        model: Adopted, sharing prefixes.
        asked: The prompts.
        rules: How they are answered.
        batch_size: Answers side by side, one prompt's own at least.
    """

    def __init__(self, model: Any, asked: Sequence[Asked], rules: Rules, batch_size: int) -> None:
        self._model, self._rules, self._rows = model, rules, max(batch_size, rules.samples)
        prompts = [list(one.prompt) for one in asked]
        # The last token of a prompt stays out of the beginning, so that every row has something of its own.
        self._begin = min(_common(min(prompts), max(prompts)), min(map(len, prompts)) - 1)
        # Rows of about one length side by side waste little; among them alike ones share most.
        self._waiting = deque(
            sorted(asked, key=lambda one: ((len(one.prompt) - self._begin).bit_length(), list(one.prompt)))
        )
        self._head, self._device = layouts.head(model), next(model.parameters()).device
        self._virtual = virtual_count(model)
        self._blocks: Blocks | None = None
        self._writing: list[Draft] = []  # in the order of their blocks
        self._newest: list[int] = []  # their last tokens, which are not read yet
        self._unfinished = {one.row: (one, len(one.drafts)) for one in asked}
        self._reference_logprobs: dict[int, list[float]] = {}

    def run(self) -> Iterator[tuple[Asked, list[float] | None]]:
        """Answers all prompts; each as its answers end, with its reference's log-probabilities in nats."""
        while self._waiting or self._writing:
            for row in self._go_on(self._next_rows()):
                one, left = self._unfinished.pop(row)
                if left > 1:
                    self._unfinished[row] = one, left - 1
                else:
                    yield one, self._reference_logprobs.get(row)

    def _next_rows(self) -> list[Asked]:
        """The waiting prompts that the next pass reads."""
        free = self._rows - len(self._writing)
        if self._writing and free < max(self._rows * _FREE_SHARE, self._rules.samples):
            return []
        found: list[Asked] = []
        nodes = 0
        while self._waiting and free >= self._rules.samples and nodes < _NODES:
            found.append(self._waiting.popleft())
            nodes += len(found[-1].prompt) - self._begin + len(found[-1].reference or ())
            free -= self._rules.samples
            found[-1].begin()
        return found

    def _go_on(self, new: list[Asked]) -> list[int]:
        """One pass: reads new rows and each written row's newest token, and chooses the next ones.

        Returns:
            The row of every answer that has ended.
        """
        forest = build([one.path(self._start) for one in new])
        read, hidden_ND, hidden_BD = self._read(forest)
        fresh, ended = self._follow(new, forest, hidden_ND)
        nodes = _numbers([one.node for one in fresh], self._device)
        drafts = [*(one.draft for one in fresh), *self._writing]
        tokens, logps = choose(
            torch.cat([hidden_ND.index_select(0, nodes), hidden_BD]),
            self._head,
            self._rules.sampling,
            [draft.chance() for draft in drafts],
        )
        goes_on = [draft.take(token, logp) for draft, token, logp in zip(drafts, tokens, logps, strict=True)]
        ended += [draft.row for draft, alive in zip(drafts, goes_on, strict=True) if not alive]
        joining = [place for place in range(len(fresh)) if goes_on[place]]
        leaving = [place for place, alive in enumerate(goes_on[len(fresh) :]) if not alive]
        self._newest = tokens[len(fresh) :]
        self._settle([(fresh[place], tokens[place]) for place in joining], leaving, forest, read)
        return ended

    @property
    def _start(self) -> int:
        """Where new prompts are read from: behind the common beginning, once that has been read."""
        return self._begin if self._blocks else 0

    def _read(self, forest: Forest) -> tuple[Recorder | None, Tensor, Tensor]:
        """States of new rows' nodes, shape (N, D), and of the written rows' newest tokens, shape (B, D)."""
        token_N, depth_N = (layouts.to_tensor(array, self._device) for array in (forest.token, forest.depth))
        if not self._blocks:  # nothing is being written yet; virtual tokens are read with the beginning
            first = Recorder(self._layout(forest, self._virtual))
            hidden_ND = layouts.hidden_states(self._model, token_N, depth_N, first)
            return first, hidden_ND, hidden_ND[:0]
        known, step = self._blocks.trunk_length, self._blocks.step(self._device)
        read = Recorder(self._layout(forest, known), self._blocks.trunk) if forest.nodes else None
        newest_B = _numbers(self._newest, self._device)
        output = layouts.backbone(self._model)(
            input_ids=torch.cat([token_N, newest_B])[None],
            position_ids=torch.cat([depth_N + known, step.position_B])[None],
            attention_mask=None,
            use_cache=False,
            layout=Both(read, forest.nodes, step) if read else step,
        )
        self._blocks.advance()
        hidden_ND, hidden_BD = output.last_hidden_state[0].split([forest.nodes, len(self._newest)])
        return read, hidden_ND, hidden_BD

    def _layout(self, forest: Forest, known: int) -> layouts.Layout:
        """The layout of a forest behind so many nodes that all of it sees."""
        layout: layouts.Layout = BACKENDS.call(
            layouts.backend_of(self._model), "build", plant(forest, known), self._device
        )
        return layout

    def _follow(self, new: list[Asked], forest: Forest, hidden_ND: Tensor) -> tuple[list[_Fresh], list[int]]:
        """Scores new rows' references, and takes of them what the model would choose as well.

        Returns:
            The answers that go on, and the rows of those that have ended.
        """
        followed: dict[int, list[tuple[int, float]]] = {}
        if new and new[0].reference is not None:
            scores = edge_scores(hidden_ND, self._head, forest)
            self._reference_logprobs |= by_row(forest, scores)
            if self._rules.sampling.greedy:
                followed = _followed(forest, scores, self._rules.stop_ids)
        last = _last_nodes(forest, followed)
        fresh: list[_Fresh] = []
        ended: list[int] = []
        for one in new:
            for draft in one.drafts:
                if all(draft.take(token, logp) for token, logp in followed.get(one.row, ())):
                    fresh.append(_Fresh(draft, last[one.row]))
                else:
                    ended.append(one.row)
        return fresh, ended

    def _settle(
        self, joining: list[tuple[_Fresh, int]], leaving: list[int], forest: Forest, read: Recorder | None
    ) -> None:
        """Gives new rows the blocks of those that have ended, and further ones behind the last."""
        lines = [forest.ancestors(one.node) for one, _ in joining]
        if not self._blocks:
            assert read
            # The beginning stands in front of all others, behind virtual tokens: the pass's first nodes.
            self._blocks = Blocks(read.first(self._virtual + self._begin), self._virtual + self._begin, self._rows)
            lines = [line[self._begin :] + self._virtual for line in lines]
        count = len(self._writing)
        blocks = [*leaving[: len(joining)], *range(count, count + len(joining) - len(leaving))]
        if read:
            self._blocks.put(read, lines, blocks)
        for block, (one, token) in zip(blocks, joining, strict=True):
            self._writing[block : block + 1] = [one.draft]
            self._newest[block : block + 1] = [token]
        for source, target in self._blocks.drop(leaving[len(joining) :]):
            self._writing[target], self._newest[target] = self._writing[source], self._newest[source]
        left = len(self._blocks.lengths)
        del self._writing[left:], self._newest[left:]


def _followed(forest: Forest, scores: EdgeScores, stop_ids: frozenset[int]) -> dict[int, list[tuple[int, float]]]:
    """For each row the beginning of its reference in which every token is the most probable one, with log-probability.

    The last token of a reference was not read, so nothing can go on behind it: it counts only if it ends the answer.
    """
    hits, logps = scores.hit.tolist(), scores.logp.tolist()
    found: dict[int, list[tuple[int, float]]] = {}
    for path, start, end in zip(forest.paths, forest.path_start[:-1], forest.path_start[1:], strict=True):
        agreed = found[path.row] = []
        for edge in forest.path_edge[start:end].tolist():
            if not hits[edge]:
                break
            agreed.append((int(forest.target[edge]), logps[edge]))
        if len(agreed) == end - start and agreed[-1][0] not in stop_ids:
            agreed.pop()
    return found


def _last_nodes(forest: Forest, followed: dict[int, list[tuple[int, float]]]) -> dict[int, int]:
    """By row, the node that predicts what comes behind the followed part of its reference; the last one it has."""
    last = {}
    for path, start, end in zip(forest.paths, forest.path_start[:-1], forest.path_start[1:], strict=True):
        edge = forest.path_edge[min(start + len(followed.get(path.row, ())), end - 1)]
        last[path.row] = int(forest.source[edge])
    return last


def _numbers(values: Sequence[int], device: torch.device) -> Tensor:
    """Whole numbers as a tensor, also where there are none."""
    return torch.tensor(values, dtype=torch.long, device=device)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common beginning of two prompts."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
