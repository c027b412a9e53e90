"""Greedy decoding in batches.

The prompts of a batch are read as a forest, so that what they share is computed once; what all of them share is also
kept once, as the trunk of the batch's key and value cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.base.plugins import BACKENDS
from tunewright.forest import Forest, Path, build
from tunewright.forest import layout as layouts
from tunewright.forest.edges import edge_scores
from tunewright.forest.score import DEFAULT_BACKEND, path_logp
from tunewright.generate.cache import Cache, Recorder

OnToken = Callable[[int, int], None]  # row, token


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer.

    Args:
        tokens: Its tokens, without the one that ended it.
        stopped: Whether a stop token ended it; False where it was cut at the limit.
        logprob: Sum of its tokens' log-probabilities, the stop token's included, in nats.
        reference_logprob: The same of the reference, where one was given; else not a number.
    """

    tokens: list[int]
    stopped: bool
    logprob: float
    reference_logprob: float


@torch.no_grad()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    references: Sequence[Sequence[int]] | None = None,
    batch_size: int = 64,
    listener: events.Listener = events.ignore,
    on_token: OnToken | None = None,
) -> list[Generation]:
    """The most probable next token, again and again, for each prompt.

    Args:
        model: An adopted model (`forest.layout.adopt`), in evaluation mode.
        prompts: Token ids of each prompt, at least one token each.
        max_new_tokens: Longest answer; a longer one is cut, and says so.
        stop_ids: Tokens that end an answer.
        references: Answers to be scored behind the same prompts, in the pass that reads them; one token each at least.
        batch_size: Prompts decoded side by side.
        listener: Hears of progress as a stage "generate", counted in answers.
        on_token: Called with the row and the token as soon as one is chosen.

    Raises:
        DataError: If a prompt or a reference is empty, or if there are more of one than of the other.
    """
    _check(prompts, references)
    # Alike prompts side by side share most; the order among them changes nothing in the answers.
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), list(prompts[row])))
    found: dict[int, Generation] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        given = [references[row] for row in rows] if references is not None else None
        batch = _Batch(model, [prompts[row] for row in rows], given, max_new_tokens, frozenset(stop_ids))
        found.update(zip(rows, batch.decode(_renamed(on_token, rows)), strict=True))
        listener(events.Stage("generate", "progress", len(found), len(prompts), "answers"))
    return [found[row] for row in range(len(prompts))]


def _renamed(on_token: OnToken | None, rows: Sequence[int]) -> OnToken | None:
    """`on_token` for a batch whose places stand for these rows."""
    if on_token is None:
        return None
    return lambda place, token: on_token(rows[place], token)


class _Batch:
    """Prompts that are decoded side by side; rows leave as they end."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        references: Sequence[Sequence[int]] | None,
        limit: int,
        stop_ids: frozenset[int],
    ) -> None:
        self._model, self._limit, self._stop_ids = model, limit, stop_ids
        self._tokens: list[list[int]] = [[] for _ in prompts]
        self._stopped = [False] * len(prompts)
        self._logprob = [0.0] * len(prompts)
        self._active = list(range(len(prompts)))
        self._next_hidden, self._cache, self._reference_logprob = _prefill(model, prompts, references, limit)

    def decode(self, on_token: OnToken | None) -> list[Generation]:
        """Chooses tokens until every row has ended; the answers, in the order of the prompts."""
        head, backbone = layouts.head(self._model), layouts.backbone(self._model)
        hidden_BD = self._next_hidden
        while True:
            logit_BV = head(hidden_BD).float()
            token_B = logit_BV.argmax(-1)
            logp_B = logit_BV.gather(1, token_B[:, None])[:, 0] - logit_BV.logsumexp(-1)
            alive = self._take(token_B.tolist(), logp_B.tolist(), on_token)
            if not alive:
                rows = zip(self._tokens, self._stopped, self._logprob, self._reference_logprob, strict=True)
                return [Generation(*row) for row in rows]
            if len(alive) < len(token_B):
                kept = torch.tensor(alive, device=token_B.device)
                self._active = [self._active[place] for place in alive]
                self._cache.keep(kept)
                token_B = token_B[kept]
            output = backbone(
                input_ids=token_B[:, None],
                position_ids=self._cache.position_B[:, None],
                attention_mask=None,
                use_cache=False,
                layout=self._cache,
            )
            self._cache.advance()
            hidden_BD = output.last_hidden_state[:, 0]

    def _take(self, tokens: list[int], logps: list[float], on_token: OnToken | None) -> list[int]:
        """Notes one token per active row; returns the places of those that go on."""
        alive = []
        for place, (row, token, logp) in enumerate(zip(self._active, tokens, logps, strict=True)):
            self._logprob[row] += logp
            if token in self._stop_ids:
                self._stopped[row] = True
                continue
            self._tokens[row].append(token)
            if on_token:
                on_token(row, token)
            if len(self._tokens[row]) < self._limit:
                alive.append(place)
        return alive


def _prefill(
    model: Any, prompts: Sequence[Sequence[int]], references: Sequence[Sequence[int]] | None, room: int
) -> tuple[Tensor, Cache, list[float]]:
    """Reads the prompts, and the references behind them, as one forest.

    Returns:
        The hidden state of each prompt's last token, the cache, and each reference's log-probability.
    """
    device = next(model.parameters()).device
    paths = [_path(prompt, references[row] if references else None, row) for row, prompt in enumerate(prompts)]
    forest = build(paths)
    recorder = Recorder(BACKENDS.call(DEFAULT_BACKEND, "build", forest, device))
    token_N, depth_N = (layouts.to_tensor(array, device) for array in (forest.token, forest.depth))
    hidden_ND = layouts.hidden_states(model, token_N, depth_N, recorder)
    logprob = np.full(len(prompts), np.nan)
    if references:
        logprob[[path.row for path in forest.paths]] = path_logp(
            edge_scores(hidden_ND, layouts.head(model), forest), forest
        )
    lines = _lines(forest)
    # The last token of a prompt stays out of the trunk, so that every row has something of its own.
    shared = min(len(line) for line in lines) - 1
    while shared and len({int(line[shared - 1]) for line in lines}) > 1:
        shared -= 1
    rests = [line[shared:] for line in lines]
    rest_BL = np.zeros((len(rests), max(map(len, rests))), dtype=np.int64)
    for row, rest in enumerate(rests):
        rest_BL[row, : len(rest)] = rest
    last_B = layouts.to_tensor([int(line[-1]) for line in lines], device)
    cache = Cache(
        recorder,
        layouts.to_tensor(lines[0][:shared], device),
        layouts.to_tensor(rest_BL, device),
        layouts.to_tensor([len(rest) for rest in rests], device),
        room,
    )
    return hidden_ND.index_select(0, last_B), cache, logprob.tolist()


def _path(prompt: Sequence[int], reference: Sequence[int] | None, row: int) -> Path:
    """A path that scores the reference behind the prompt; without one, whichever token, so that the prompt is read."""
    answer = [0] if reference is None else list(reference)
    weights = np.zeros(len(prompt) + len(answer), dtype=np.float32)
    weights[len(prompt) :] = 1.0
    return Path(np.array([*prompt, *answer], dtype=np.int32), weights, group=row, row=row)


def _lines(forest: Forest) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Each prompt's nodes, root first, in the order of the prompts: the first edge leaves a prompt's last node."""
    lines = {
        path.row: forest.ancestors(int(forest.source[forest.path_edge[start]]))
        for path, start in zip(forest.paths, forest.path_start[:-1], strict=True)
    }
    return [lines[row] for row in range(len(lines))]


def _check(prompts: Sequence[Sequence[int]], references: Sequence[Sequence[int]] | None) -> None:
    for kind, rows in (("prompt", prompts), ("reference", references or ())):
        for row, tokens in enumerate(rows):
            if not len(tokens):
                raise DataError(f"A {kind} holds no token", where=f"{kind} {row}")
    if references is not None and len(references) != len(prompts):
        raise DataError(f"There are {len(prompts)} prompts and {len(references)} references")
