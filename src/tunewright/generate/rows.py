"""Greedy decoding of models that share no prefixes: prompts of one length side by side, through the model's own cache.

Such a model keeps what it has read in a form of its own: keys and values that carry positions, or the state of a
recurrence. Rows of one length need no padding, which a recurrence could not pass over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.forest import Path, score_paths
from tunewright.forest import layout as layouts
from tunewright.forest.virtual import row_inputs
from tunewright.generate.generation import Generation

# transformers' names of what a model has read so far.
_CACHES = ("past_key_values", "cache_params", "state")


def decode_rows(
    model: Any,
    prompts: Sequence[Sequence[int]],
    references: Sequence[Sequence[int]] | None,
    limit: int,
    stop_ids: frozenset[int],
    on_token: Callable[[int, int], None] | None,
) -> list[Generation]:
    """The answers to prompts, as `generate` has them, and its references' log-probabilities."""
    references_logprob = [float("nan")] * len(prompts)
    if references is not None:
        paths = [_path(prompt, references[row], row) for row, prompt in enumerate(prompts)]
        references_logprob = score_paths(model, paths).tolist()
    found: dict[int, Generation] = {}

    def length(row: int) -> int:
        return len(prompts[row])

    for _, rows in groupby(sorted(range(len(prompts)), key=length), length):
        group = list(rows)
        answers = _Rows(model, [prompts[row] for row in group])
        for step in range(limit):
            for place, token in answers.choose(stop_ids):
                if on_token:
                    on_token(group[place], token)
            if answers.ended or step + 1 == limit:
                break
            answers.read_on()
        for row, (tokens, stopped, logprob) in zip(group, answers.results(), strict=True):
            found[row] = Generation(tokens, stopped, logprob, references_logprob[row])
    return [found[row] for row in range(len(prompts))]


class _Rows:
    """Rows of one length that are decoded together; those that have ended are read on and no longer noted."""

    def __init__(self, model: Any, prompts: list[Sequence[int]]) -> None:
        self._model, self._head = model, layouts.head(model)
        self._read_BT = torch.tensor(prompts, device=next(model.parameters()).device)
        self._tokens: list[list[int]] = [[] for _ in prompts]
        self._stopped = [False] * len(prompts)
        self._logprob = [0.0] * len(prompts)
        self._cache: dict[str, Any] = {}
        self._hidden_BD = self._states(row_inputs(model, self._embedded(self._read_BT)), use_cache=True)

    @property
    def ended(self) -> bool:
        """Whether all rows have."""
        return all(self._stopped)

    def results(self) -> list[tuple[list[int], bool, float]]:
        """Each row's tokens, whether a stop token ended it, and its log-probability."""
        return list(zip(self._tokens, self._stopped, self._logprob, strict=True))

    def choose(self, stop_ids: frozenset[int]) -> list[tuple[int, int]]:
        """Takes each row's most probable next token; gives those that do not end their row, with the row."""
        taken = []
        logit_BV = self._head(self._hidden_BD).float()
        token_B = logit_BV.argmax(-1)
        logp_B = logit_BV.gather(1, token_B[:, None])[:, 0] - logit_BV.logsumexp(-1)
        for row, (token, logp) in enumerate(zip(token_B.tolist(), logp_B.tolist(), strict=True)):
            if self._stopped[row]:
                continue
            self._logprob[row] += logp
            if token in stop_ids:
                self._stopped[row] = True
            else:
                self._tokens[row].append(token)
                taken.append((row, token))
        self._read_BT = torch.cat([self._read_BT, token_B[:, None]], dim=1)
        return taken

    def read_on(self) -> None:
        """Reads the tokens that were chosen last; all of each row again where the model keeps nothing."""
        if self._cache:
            told = {"inputs_embeds": self._embedded(self._read_BT[:, -1:]), **self._cache}
            self._hidden_BD = self._states(told, use_cache=True)
        else:
            told = row_inputs(self._model, self._embedded(self._read_BT))
            self._hidden_BD = self._states(told, use_cache=False)

    def _embedded(self, token_BT: Tensor) -> Tensor:
        embedded: Tensor = layouts.unwrap(self._model).get_input_embeddings()(token_BT)
        return embedded

    def _states(self, told: dict[str, Any], *, use_cache: bool) -> Tensor:
        """States of the rows' last tokens, shape (B, D); keeps what the model keeps."""
        output = layouts.backbone(self._model)(**told, use_cache=use_cache)
        self._cache = {name: kept for name in _CACHES if (kept := getattr(output, name, None)) is not None}
        hidden_BD: Tensor = output.last_hidden_state[:, -1]
        return hidden_BD


def _path(prompt: Sequence[int], reference: Sequence[int], row: int) -> Path:
    weights = np.zeros(len(prompt) + len(reference), dtype=np.float32)
    weights[len(prompt) :] = 1.0
    return Path(np.array([*prompt, *reference], dtype=np.int32), weights, group=row, row=row)
