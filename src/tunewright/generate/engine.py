"""Greedy decoding in batches.

The prompts of a batch are read as a forest, so that what they share is computed once; what all of them share is also
kept once, as the trunk of the batch's key and value cache. References are read in the same pass, behind their prompts:
as long as the reference's next token is the most probable one it is the answer's too, and is not computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.base.plugins import BACKENDS
from tunewright.forest import Forest, Path, build
from tunewright.forest import layout as layouts
from tunewright.forest.edges import EdgeScores, edge_scores
from tunewright.forest.forest import Ints, plant
from tunewright.forest.score import path_logp
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.forest.virtual import virtual_count
from tunewright.generate import seq2seq
from tunewright.generate.cache import Cache, Recorder
from tunewright.generate.generation import Generation
from tunewright.generate.rows import decode_rows

OnToken = Callable[[int, int], None]  # row, token


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
    shares = layouts.shares(model)
    # Alike prompts side by side share most; the order among them changes nothing in the answers.
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), list(prompts[row])))
    found: dict[int, Generation] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        given = [references[row] for row in rows] if references is not None else None
        asked = (model, [prompts[row] for row in rows], given, max_new_tokens, frozenset(stop_ids))
        told = _renamed(on_token, rows)
        answers = _Batch(*asked).decode(told) if shares else decode_rows(*asked, told)
        found.update(zip(rows, answers, strict=True))
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
        self._prompts, self._references = prompts, references

    def decode(self, on_token: OnToken | None) -> list[Generation]:
        """Chooses tokens until every row has ended; the answers, in the order of the prompts."""
        work = self._decode_sources if is_encoder_decoder(self._model) else self._decode_prompts
        logprob = work(on_token)
        found = zip(self._tokens, self._stopped, self._logprob, logprob, strict=True)
        return [Generation(*answer) for answer in found]

    def _decode_sources(self, on_token: OnToken | None) -> list[float]:
        """Decodes behind an encoder; the references' log-probabilities."""
        seq2seq.decode(self._model, self._prompts, partial(self._take, on_token=on_token))
        if not self._references:
            return [math.nan] * len(self._prompts)
        return seq2seq.reference_logps(self._model, self._prompts, self._references)

    def _decode_prompts(self, on_token: OnToken | None) -> list[float]:
        """Decodes behind prompts that are read as a forest; the references' log-probabilities."""
        read = self._read = _prefill(self._model, self._prompts, self._references, self._limit, self._stop_ids)
        rows = [row for row in range(len(self._tokens)) if self._follow(row, on_token)]
        if rows:
            places = torch.tensor(rows, device=read.hidden_BD.device)
            read.cache.keep(places)
            self._go_on(rows, read.hidden_BD[places], on_token)
        return read.reference_logprob

    def _follow(self, row: int, on_token: OnToken | None) -> bool:
        """Notes the tokens that the reference and the model agree on; whether the row goes on behind them."""
        return all(self._take([row], [token], [logp], on_token) for token, logp in self._read.followed[row])

    def _go_on(self, rows: list[int], hidden_BD: Tensor, on_token: OnToken | None) -> None:
        """Decodes rows token by token from the states of their last tokens."""
        head, backbone, cache = layouts.head(self._model), layouts.backbone(self._model), self._read.cache
        while True:
            logit_BV = head(hidden_BD).float()
            token_B = logit_BV.argmax(-1)
            logp_B = logit_BV.gather(1, token_B[:, None])[:, 0] - logit_BV.logsumexp(-1)
            alive = set(self._take(rows, token_B.tolist(), logp_B.tolist(), on_token))
            if not alive:
                return
            if len(alive) < len(rows):
                kept = torch.tensor([place for place, row in enumerate(rows) if row in alive], device=token_B.device)
                rows = [row for row in rows if row in alive]
                cache.keep(kept)
                token_B = token_B[kept]
            output = backbone(
                input_ids=token_B[:, None],
                position_ids=cache.position_B[:, None],
                attention_mask=None,
                use_cache=False,
                layout=cache,
            )
            cache.advance()
            hidden_BD = output.last_hidden_state[:, 0]

    def _take(
        self, rows: Sequence[int], tokens: Sequence[int], logps: Sequence[float], on_token: OnToken | None
    ) -> list[int]:
        """Notes one token for each of some rows; returns the rows that go on."""
        alive = []
        for row, token, logp in zip(rows, tokens, logps, strict=True):
            self._logprob[row] += logp
            if token in self._stop_ids:
                self._stopped[row] = True
                continue
            self._tokens[row].append(token)
            if on_token:
                on_token(row, token)
            if len(self._tokens[row]) < self._limit:
                alive.append(row)
        return alive


@dataclass(frozen=True)
class _Read:
    """What reading the prompts, and the references behind them, leaves.

    Args:
        followed: For each row the beginning of its reference that is also the most probable: token, log-probability.
        hidden_BD: State of each row's last token, which predicts the next: of the prompt, or of what was followed.
        cache: Keys and values up to and with that token.
        reference_logprob: Log-probability of each whole reference, in nats.
    """

    followed: list[list[tuple[int, float]]]
    hidden_BD: Tensor
    cache: Cache
    reference_logprob: list[float]


def _prefill(
    model: Any,
    prompts: Sequence[Sequence[int]],
    references: Sequence[Sequence[int]] | None,
    room: int,
    stop_ids: frozenset[int],
) -> _Read:
    """Reads the prompts, and the references behind them, as one forest."""
    device = next(model.parameters()).device
    paths = [_path(prompt, references[row] if references else None, row) for row, prompt in enumerate(prompts)]
    forest = build(paths)
    virtual = virtual_count(model)
    planted = plant(forest, virtual)
    recorder = Recorder(BACKENDS.call(layouts.backend_of(model), "build", planted, device))
    token_N, depth_N = (layouts.to_tensor(array, device) for array in (forest.token, forest.depth))
    hidden_ND = layouts.hidden_states(model, token_N, depth_N, recorder)
    followed: list[list[tuple[int, float]]] = [[] for _ in prompts]
    logprob = np.full(len(prompts), np.nan)
    if references:
        scores = edge_scores(hidden_ND, layouts.head(model), forest)
        logprob[[path.row for path in forest.paths]] = path_logp(scores, forest)
        followed = _followed(forest, scores, stop_ids)
    last_B = _last_nodes(forest, followed)
    # Virtual tokens are ancestors of every node, and so they stand in the cache's trunk.
    cache = _cache(recorder, [planted.ancestors(virtual + node) for node in last_B], room, device)
    return _Read(followed, hidden_ND.index_select(0, layouts.to_tensor(last_B, device)), cache, logprob.tolist())


def _followed(forest: Forest, scores: EdgeScores, stop_ids: frozenset[int]) -> list[list[tuple[int, float]]]:
    """For each row the beginning of its reference in which every token is the most probable one.

    The last token of a reference was not read, so nothing can go on behind it: it counts only if it ends the answer.
    """
    hits, logps = scores.hit.tolist(), scores.logp.tolist()
    found: list[list[tuple[int, float]]] = [[] for _ in forest.paths]
    for path, start, end in zip(forest.paths, forest.path_start[:-1], forest.path_start[1:], strict=True):
        for edge in forest.path_edge[start:end].tolist():
            if not hits[edge]:
                break
            found[path.row].append((int(forest.target[edge]), logps[edge]))
        if len(found[path.row]) == end - start and found[path.row][-1][0] not in stop_ids:
            found[path.row].pop()
    return found


def _last_nodes(forest: Forest, followed: Sequence[Sequence[tuple[int, float]]]) -> list[int]:
    """The node that predicts what comes behind the followed part; of a reference followed to its end, the last one."""
    last = {}
    for path, start, end in zip(forest.paths, forest.path_start[:-1], forest.path_start[1:], strict=True):
        edge = forest.path_edge[min(start + len(followed[path.row]), end - 1)]
        last[path.row] = int(forest.source[edge])
    return [last[row] for row in range(len(last))]


def _cache(recorder: Recorder, lines: Sequence[Ints], room: int, device: torch.device) -> Cache:
    """The cache of rows whose nodes, root first, are these; what all of them begin with is kept once."""
    # The last node of a row stays out of the trunk, so that every row has something of its own.
    shared = min(len(line) for line in lines) - 1
    while shared and len({int(line[shared - 1]) for line in lines}) > 1:
        shared -= 1
    rests = [line[shared:] for line in lines]
    rest_BL = np.zeros((len(rests), max(map(len, rests))), dtype=np.int64)
    for row, rest in enumerate(rests):
        rest_BL[row, : len(rest)] = rest
    trunk, padded, lengths = (
        layouts.to_tensor(x, device) for x in (lines[0][:shared], rest_BL, [len(rest) for rest in rests])
    )
    return Cache(recorder, trunk, padded, lengths, room)


def _path(prompt: Sequence[int], reference: Sequence[int] | None, row: int) -> Path:
    """A path that scores the reference behind the prompt; without one, whichever token, so that the prompt is read."""
    answer = [0] if reference is None else list(reference)
    weights = np.zeros(len(prompt) + len(answer), dtype=np.float32)
    weights[len(prompt) :] = 1.0
    return Path(np.array([*prompt, *answer], dtype=np.int32), weights, group=row, row=row)


def _check(prompts: Sequence[Sequence[int]], references: Sequence[Sequence[int]] | None) -> None:
    for kind, rows in (("prompt", prompts), ("reference", references or ())):
        for row, tokens in enumerate(rows):
            if not len(tokens):
                raise DataError(f"A {kind} holds no token", where=f"{kind} {row}")
    if references is not None and len(references) != len(prompts):
        raise DataError(f"There are {len(prompts)} prompts and {len(references)} references")
