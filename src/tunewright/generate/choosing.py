"""The most probable candidate alone, by exact best-first search.

Log-probabilities are never over 0, so a candidate's sum only falls as its tokens are read: what begins with less than
the best finished candidate has cannot win, and is not read. All questions go on together, a forward pass a round.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base import events
from tunewright.generate.candidates import batches, edge_logp, score_each, shares_prefixes, trees_of
from tunewright.generate.pasts import Nodes, Pasts, read_on
from tunewright.generate.trees import Tokens, Tree

_ROOT = 0
_QUESTIONS = 128  # searched side by side
_ROWS = 32  # a forward pass over fewer takes hardly less time
_SLOPE, _MARGIN_NATS = 1.25, 0.3  # docs/decisions/038-candidates.md has what others took


@dataclass(frozen=True, slots=True)
class Choice:
    """The most probable of a question's candidates.

    Args:
        winner: Its place among the candidates; of equal ones the first.
        logp: Its log-probability behind the question, in nats.
        share_low: Of all candidates' probabilities the winner has this share at least;
        share_high: and this at most.
        wanted_logp: Log-probability of the candidate that was asked for, in nats; not a number where none was.
        read: Nodes that were read behind the question.
    """

    winner: int
    logp: float
    share_low: float
    share_high: float
    wanted_logp: float = math.nan
    read: int = 0


@torch.no_grad()
def choose_each(
    model: Any,
    prompts: Sequence[Tokens],
    candidates: Sequence[Sequence[Tokens]],
    *,
    wanted: Sequence[int | None] | None = None,
    share_error: float = 1.0,
    listener: events.Listener = events.ignore,
) -> list[Choice]:
    """The most probable candidate of every question, as scoring all of them would give it.

    Args:
        model: As `score_each` has it; one that shares no prefixes has all candidates scored.
        prompts: Token ids of each question.
        candidates: Each question's candidates; one object many times where they are the same ones.
        wanted: A candidate of each question whose log-probability is to be known too, by its place; None for none.
        share_error: Search on until the winner's share is known to within this; 1: as far as the winner needs it.
        listener: Hears of progress as a stage "choose", counted in questions.

    Raises:
        DataError: As `score_each` does.
        ModelError: If the model gives what is not a number.
    """
    trees = trees_of(prompts, candidates)
    asked = list(wanted) if wanted is not None else [None] * len(prompts)
    if not shares_prefixes(model):
        scored = score_each(model, prompts, candidates, listener=listener)
        return [_of_all(each.logp, want) for each, want in zip(scored, asked, strict=True)]
    found: dict[int, Choice] = {}
    for rows, pasts in batches(model, prompts, _QUESTIONS):
        searches = [_Search(trees[row], asked[row], share_error) for row in rows]
        _search(model, pasts, searches)
        found.update((row, search.result()) for row, search in zip(rows, searches, strict=True))
        listener(events.Stage("choose", "progress", len(found), len(prompts), "questions"))
    return [found[row] for row in range(len(prompts))]


def _of_all(logp_C: Any, wanted: int | None) -> Choice:
    winner = int(np.argmax(logp_C))
    share = float(1.0 / np.exp(logp_C - logp_C[winner]).sum())
    return Choice(winner, float(logp_C[winner]), share, share, math.nan if wanted is None else float(logp_C[wanted]))


class _Search:
    """One question's search through its candidates' tree.

    Args:
        tree: The candidates.
        wanted: The candidate that is to be read in any case.
        share_error: See `choose_each`.
    """

    def __init__(self, tree: Tree, wanted: int | None, share_error: float) -> None:
        self.tree, self._wanted, self._share_error = tree, wanted, share_error
        self._finished: dict[int, float] = {}  # candidates whose tokens are all scored, and their sums in nats
        self._waiting: dict[int, float] = {_ROOT: 0.0}  # nodes that were reached and not taken up, and their sums
        self._winner = -1
        self.slots: dict[int, tuple[int, ...]] = {_ROOT: ()}  # of each node read: those of its line, its own the last

    @property
    def best(self) -> float:
        """The sum of the best candidate so far, in nats."""
        return self._finished[self._winner] if self._winner >= 0 else -math.inf

    def next_nodes(self, least: int) -> list[int]:
        """The nodes to be read next, ancestors first; none where the search is over.

        Args:
            least: So many at least, if there are as many that may lead to the winner.
        """
        best = self.best
        hopeful = [(total, -node) for node, total in self._waiting.items() if total >= best]
        # As much as the best one lost so far it will lose on: those near it will hardly be spared, and reading them
        # now saves a round. Where the model is sure, there is nothing near.
        near = _SLOPE * max(hopeful)[0] - _MARGIN_NATS if hopeful else 0.0
        most = max(least, sum(total >= near for total, _ in hopeful))
        nodes = {-turned for _, turned in heapq.nlargest(most, hopeful)}
        if not hopeful and self._share_error < 1.0 and self._waiting:
            low, high = self._shares()
            if high - low > self._share_error:
                nodes = {max(self._waiting, key=lambda node: (self._waiting[node], -node))}
        if self._wanted is not None and self._wanted not in self._finished:
            nodes.update(node for node in self.tree.lines[self._wanted] if node not in self.slots)
        return sorted(nodes)  # in preorder ancestors come first

    def take_up(self, node: int, logps: Sequence[float]) -> None:
        """Notes the log-probabilities of the edges that leave a node, which was reached."""
        total = self._waiting.pop(node)
        for (_, behind, candidates), logp in zip(self.tree.edges_of[node], logps, strict=True):
            reached = total + logp
            if behind:
                self._waiting[behind] = reached
            for candidate in candidates:
                self._finished[candidate] = reached
                if self._winner < 0 or (reached, -candidate) > (self.best, -self._winner):
                    self._winner = candidate

    def result(self) -> Choice:
        """What was found."""
        low, high = self._shares()
        wanted = math.nan if self._wanted is None else self._finished[self._wanted]
        return Choice(self._winner, self.best, low, high, wanted, len(self.slots) - 1)

    def _shares(self) -> tuple[float, float]:
        """The least and the greatest share that the winner may have of all candidates' probabilities."""
        known = sum(math.exp(total - self.best) for total in self._finished.values())
        # What stands behind a node is together no more probable than the node, but where one begins with another.
        open_ = self.tree.nested * sum(math.exp(total - self.best) for total in self._waiting.values())
        return 1.0 / (known + open_), 1.0 / known


def _search(model: Any, pasts: Pasts, searches: Sequence[_Search]) -> None:
    """Searches on behind all questions, a round at a time, until every search is over."""
    _take_up(model, pasts.hidden_BD, [(search, _ROOT) for search in searches])
    while True:
        plans = [search.next_nodes(max(1, _ROWS // len(searches))) for search in searches]
        alive = [place for place, plan in enumerate(plans) if plan]
        if not alive:
            return
        if len(alive) <= len(searches) // 2:
            pasts = pasts.select(alive)
            searches, plans = [searches[place] for place in alive], [plans[place] for place in alive]
        hidden_ND = read_on(model, pasts, _round(pasts, searches, plans), keep=True)
        reached = [(search, node) for search, plan in zip(searches, plans, strict=True) for node in plan]
        _take_up(model, hidden_ND, reached)


def _round(pasts: Pasts, searches: Sequence[_Search], plans: Sequence[Sequence[int]]) -> Nodes:
    """What is read of each question in one round; notes the slots that it takes."""
    width, start = max(map(len, plans)), pasts.slots
    seen_BQK = np.zeros((len(plans), width, start + width), dtype=bool)
    token, depth, place = [], [], []
    for row, (search, plan) in enumerate(zip(searches, plans, strict=True)):
        forest, length = search.tree.forest, int(pasts.length_B[row])
        for at, node in enumerate(plan):
            line = (*search.slots[int(forest.parent[node])], start + at)
            search.slots[node] = line
            seen_BQK[row, at, :length] = True
            seen_BQK[row, at, list(line)] = True
            token.append(int(forest.token[node]))
            depth.append(length - 1 + int(forest.depth[node]))  # the root is the question's last token
            place.append(row * width + at)
    return Nodes(
        token=np.array(token, dtype=np.int64),
        depth=np.array(depth, dtype=np.int64),
        place=np.array(place, dtype=np.int64),
        own_BQS=seen_BQK[:, :, :start],
        bin_BQW=seen_BQK[:, :, start:],
    )


def _take_up(model: Any, hidden_MD: Tensor, reached: Sequence[tuple[_Search, int]]) -> None:
    """Scores the edges that leave some nodes, given the nodes' states, and tells the searches."""
    edges = [search.tree.edges_of[node] for search, node in reached]
    row_E = np.repeat(np.arange(len(edges)), [len(each) for each in edges])
    target_E = np.array([target for each in edges for target, _, _ in each], dtype=np.int64)
    logp_E, _ = edge_logp(model, hidden_MD, row_E, target_E)
    start = 0
    logps = logp_E.tolist()
    for (search, node), own in zip(reached, edges, strict=True):
        search.take_up(node, logps[start : start + len(own)])
        start += len(own)
