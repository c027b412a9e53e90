"""Log-probabilities of candidate answers: all candidates behind all questions, as one forest.

What questions begin with is read once, each question once, and the tree of its candidates behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import DataError, ModelError
from tunewright.forest import Path
from tunewright.forest import layout as layouts
from tunewright.forest.edges import target_logp
from tunewright.forest.forest import Floats, Ints, cut
from tunewright.forest.score import grow, path_logp, score
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.generate.pasts import Bools, Nodes, Pasts, Reader, read_on
from tunewright.generate.trees import Tokens, Tree, cut_tree, grow_tree

NODE_BUDGET = 2048
_QUESTIONS = 64  # read side by side
_TOKENS = 8192  # of questions side by side, beyond what all of them share: their keys and values are kept meanwhile
_WIDEST = 1024  # places of a bin: attention inside one follows the square, and long candidates are better read as rows


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a model says of one question's candidates.

    Args:
        logp: Log-probability of each behind the question, summed over its tokens, in nats, shape (C,).
        greedy: Whether each of its tokens is the most probable one, bool, shape (C,); None where it was not asked for.
    """

    logp: Floats
    greedy: Bools | None


@torch.no_grad()
def score_each(
    model: Any,
    prompts: Sequence[Tokens],
    candidates: Sequence[Sequence[Tokens]],
    *,
    greedy: bool = False,
    node_budget: int = NODE_BUDGET,
    listener: events.Listener = events.ignore,
) -> list[Scored]:
    """Exact log-probabilities of every question's candidates.

    Args:
        model: An adopted model (`forest.layout.adopt`), in evaluation mode.
        prompts: Token ids of each question, one token each at least.
        candidates: Each question's candidates, as the tokens behind it. Where questions have the same ones, let this
            hold one object many times (`[labels] * len(prompts)`): they are merged once.
        greedy: Whether to tell which candidates greedy decoding would give.
        node_budget: Most nodes that are read at once; a single candidate may be over it.
        listener: Hears of progress as a stage "score", counted in questions.

    Raises:
        DataError: If a prompt or a candidate holds no token, a question has no candidates, or there are more of one
            than of the other.
    """
    trees = trees_of(prompts, candidates)
    found = [Scored(np.zeros(len(own)), np.zeros(len(own), dtype=bool) if greedy else None) for own in candidates]
    in_rows = [row for row, tree in enumerate(trees) if not shares_prefixes(model) or tree.places[2] > _WIDEST]
    _score_rows(model, prompts, candidates, in_rows, found, node_budget, listener)
    parts = {id(tree): cut_tree(tree, node_budget) for tree in trees}
    done, rest = len(in_rows), sorted(set(range(len(prompts))) - set(in_rows))
    for places, pasts in batches(model, [prompts[row] for row in rest], _QUESTIONS):
        rows = [rest[place] for place in places]
        items = [(place, part) for place, row in enumerate(rows) for part in parts[id(trees[row])]]
        for chosen in _micro_batches(items, node_budget):
            for place, part, logp_E, hit_E in _score_trees(model, pasts, chosen, greedy):
                own, candidate = found[rows[place]], part.places_of_candidates
                own.logp[candidate] = part.sums(logp_E)
                if own.greedy is not None and hit_E is not None:
                    own.greedy[candidate] = part.all_of(hit_E)
        done += len(rows)
        listener(events.Stage("score", "progress", done, len(prompts), "questions"))
    return found


def shares_prefixes(model: Any) -> bool:
    """Whether questions and candidates can be read as one forest through keys and values that are kept."""
    return layouts.shares(model) and not is_encoder_decoder(model)


def trees_of(prompts: Sequence[Tokens], candidates: Sequence[Sequence[Tokens]]) -> list[Tree]:
    """Each question's candidates as a tree; one object for those that share theirs. Raises as `score_each` does."""
    if len(prompts) != len(candidates):
        raise DataError(f"There are {len(prompts)} prompts, and candidates for {len(candidates)}")
    if empty := [row for row, prompt in enumerate(prompts) if not len(prompt)]:
        raise DataError("A prompt holds no token", where=f"prompt {empty[0]}")
    grown = {id(own): grow_tree(own) for own in candidates}
    return [grown[id(own)] for own in candidates]


def batches(model: Any, prompts: Sequence[Tokens], size: int) -> Iterator[tuple[list[int], Pasts]]:
    """Reads prompts, so many at a time at most: the rows of a batch, and what reading them leaves."""
    if not prompts:
        return
    reader = Reader(model, prompts)
    # Prompts of like length and beginning side by side share most and pad least.
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), list(prompts[row])))
    while order:
        tokens = np.cumsum([len(prompts[row]) - reader.shared for row in order[:size]])
        count = max(1, int(np.searchsorted(tokens, _TOKENS, side="right")))
        rows, order = order[:count], order[count:]
        yield rows, reader.read([prompts[row] for row in rows])


_Item = tuple[int, Tree]  # a question's place in its batch, and candidates of it


def _micro_batches(items: Sequence[_Item], node_budget: int) -> Iterator[list[_Item]]:
    """Runs of items of at most so many nodes together; an item over that by itself."""
    chosen: list[_Item] = []
    nodes = 0
    for item in items:
        if chosen and nodes + item[1].nodes > node_budget:
            yield chosen
            chosen, nodes = [], 0
        chosen.append(item)
        nodes += item[1].nodes
    if chosen:
        yield chosen


def _score_trees(
    model: Any, pasts: Pasts, items: Sequence[_Item], greedy: bool
) -> Iterator[tuple[int, Tree, Floats, Bools | None]]:
    """For each item its question's place, its tree, the log-probability of its edges, and whether they are the best."""
    trees = [tree for _, tree in items]
    nodes = sum(tree.nodes for tree in trees)
    inside = pasts.select([place for place, _ in items])
    hidden_MD = inside.hidden_BD
    if nodes:
        hidden_MD = torch.cat([hidden_MD, read_on(model, inside, _behind(inside, trees))])
    # The state behind a tree's root is its question's; the others stand behind those of all questions.
    first_node = len(trees) + np.cumsum([0, *(tree.nodes for tree in trees)])
    rows = [
        np.where(tree.forest.source == 0, place, first_node[place] + tree.forest.source - 1)
        for place, tree in enumerate(trees)
    ]
    row_E, target_E = np.concatenate(rows), np.concatenate([tree.forest.target for tree in trees])
    logp_E, best_M = edge_logp(model, hidden_MD, row_E, target_E, best=greedy)
    hit_E = None if best_M is None else best_M[row_E] == target_E
    start = 0
    for (place, tree), own in zip(items, rows, strict=True):
        span = slice(start, start + len(own))
        yield place, tree, logp_E[span], None if hit_E is None else hit_E[span]
        start += len(own)


def edge_logp(
    model: Any, hidden_MD: Tensor, row_E: Ints, target_E: Ints, *, best: bool = False
) -> tuple[Floats, Ints | None]:
    """Log-probability of target tokens behind states, in nats, shape (E,); each state's best token, shape (M,).

    Args:
        best: Whether the best tokens are asked for; else None stands for them.
    Raises:
        ModelError: If the model gives what is not a number.
    """
    order = np.argsort(row_E, kind="stable")
    row_e, target_e = (layouts.to_tensor(array[order], hidden_MD.device) for array in (row_E, target_E))
    logp_e, best_M = target_logp(hidden_MD, layouts.head(model), row_e, target_e, best=best)
    logp_E = np.empty(len(order))
    logp_E[order] = logp_e.double().cpu().numpy()
    if np.isnan(logp_E).any():
        raise _not_numbers()
    return logp_E, None if best_M is None else best_M.cpu().numpy()


def _not_numbers() -> ModelError:
    return ModelError(
        "The model gives log-probabilities that are not numbers",
        hint="It has diverged: train again with a lower train.learning_rate.",
    )


def _behind(pasts: Pasts, trees: Sequence[Tree]) -> Nodes:
    """The nodes of trees, one behind each question of a batch."""
    bins, width = max(tree.places[1] for tree in trees), max(tree.places[2] for tree in trees)
    bin_BJWW = np.zeros((len(trees), bins, width, width), dtype=bool)
    places = []
    for number, tree in enumerate(trees):
        place, own_bins, own_width = tree.places
        bin_BJWW[number, :own_bins, :own_width, :own_width] = tree.seen.reshape(own_bins, own_width, own_width)
        bin_, at = np.divmod(place, max(own_width, 1))
        places.append((number * bins + bin_) * width + at)
    own_BS = np.arange(pasts.slots) < pasts.length_B[:, None]
    return Nodes(
        token=np.concatenate([tree.forest.token[1:] for tree in trees]),
        # The root is the question's last token.
        depth=np.concatenate([tree.forest.depth[1:] + pasts.length_B[n] - 1 for n, tree in enumerate(trees)]),
        place=np.concatenate(places),
        own_BQS=np.broadcast_to(own_BS[:, None], (len(trees), bins * width, pasts.slots)),
        bin_BQW=bin_BJWW.reshape(len(trees), bins * width, width),
    )


def _score_rows(
    model: Any,
    prompts: Sequence[Tokens],
    candidates: Sequence[Sequence[Tokens]],
    rows: Sequence[int],
    found: Sequence[Scored],
    node_budget: int,
    listener: events.Listener,
) -> None:
    """Scores some of the questions as the forest of whole rows, through the model's own backend."""
    pairs = [(row, place) for row in rows for place in range(len(candidates[row]))]
    paths = []
    for number, (row, place) in enumerate(pairs):
        prompt, answer = prompts[row], candidates[row][place]
        weights = np.r_[np.zeros(len(prompt)), np.ones(len(answer))].astype(np.float32)
        paths.append(Path(np.array([*prompt, *answer], dtype=np.int32), weights, group=number, row=number))
    done = 0
    for piece in cut(grow(model, paths), node_budget) if paths else ():
        scores = score(model, piece)
        hits = np.logical_and.reduceat(scores.hit.cpu().numpy()[piece.path_edge], piece.path_start[:-1])
        for path, logp, hit in zip(piece.paths, path_logp(scores, piece).tolist(), hits.tolist(), strict=True):
            row, place = pairs[path.row]
            greedy = found[row].greedy
            found[row].logp[place] = logp
            if greedy is not None:
                greedy[place] = hit
        done += len(piece.paths)
        listener(events.Stage("score", "progress", done, len(paths), "candidates"))
    if any(math.isnan(value) for row in rows for value in found[row].logp):
        raise _not_numbers()
