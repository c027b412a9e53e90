"""Decoding of models that share no prefixes: prompts of one length side by side, through the model's own cache.

Such a model keeps what it has read in a form of its own: keys and values that carry positions, or the state of a
recurrence. Rows of one length need no padding, which a recurrence could not pass over. Several answers to one prompt
are as many rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from tunewright.forest import layout as layouts
from tunewright.forest.virtual import row_inputs
from tunewright.generate.draft import Asked, Draft, Rules
from tunewright.generate.sampling import choose

# transformers' names of what a model has read so far.
_CACHES = ("past_key_values", "cache_params", "state")


def decode_rows(model: Any, asked: Sequence[Asked], rules: Rules) -> None:
    """Writes the answers to prompts."""

    def length(one: Asked) -> int:
        return len(one.prompt)

    for _, members in groupby(sorted(asked, key=length), length):
        rows = [(draft, one.prompt) for one in members for draft in one.drafts]
        _Rows(model, [prompt for _, prompt in rows], [draft for draft, _ in rows], rules).write()


class _Rows:
    """Rows of one length that are decoded together; those that have ended are read on and no longer noted."""

    def __init__(self, model: Any, prompts: list[Sequence[int]], drafts: list[Draft], rules: Rules) -> None:
        self._reader, self._head = RowReader(model, prompts), layouts.head(model)
        self._drafts, self._sampling = drafts, rules.sampling

    def write(self) -> None:
        """Chooses tokens until every row has ended."""
        alive = [True] * len(self._drafts)
        while True:
            chances = [draft.chance() if on else 0.0 for draft, on in zip(self._drafts, alive, strict=True)]
            tokens, logps = choose(self._reader.hidden_BD, self._head, self._sampling, chances)
            given = zip(alive, self._drafts, tokens, logps, strict=True)
            alive = [on and draft.take(token, logp) for on, draft, token, logp in given]
            if not any(alive):
                return
            self._reader.read(tokens)


class RowReader:
    """Rows of one length, read side by side and on and on.

    Args:
        model: Adopted.
        prompts: What the rows begin with.

    `hidden_BD` are the states of their last tokens.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._model = model
        self._read_BT = torch.tensor(prompts, device=next(model.parameters()).device)
        self._cache: dict[str, Any] = {}
        self.hidden_BD = self._states(row_inputs(model, self._embedded(self._read_BT)), use_cache=True)

    def read(self, tokens: Sequence[int]) -> None:
        """Reads a token more of each row; all of each row again where the model keeps nothing."""
        token_B1 = torch.tensor(tokens, device=self._read_BT.device)[:, None]
        self._read_BT = torch.cat([self._read_BT, token_B1], dim=1)
        if self._cache:
            told = {"inputs_embeds": self._embedded(self._read_BT[:, -1:]), **self._cache}
            self.hidden_BD = self._states(told, use_cache=True)
        else:
            told = row_inputs(self._model, self._embedded(self._read_BT))
            self.hidden_BD = self._states(told, use_cache=False)

    def _embedded(self, token_BT: Tensor) -> Tensor:
        embedded: Tensor = layouts.unwrap(self._model).get_input_embeddings()(token_BT)
        return embedded

    def _states(self, told: dict[str, Any], *, use_cache: bool) -> Tensor:
        """States of the rows' last tokens, shape (B, D); keeps what the model keeps."""
        output = layouts.backbone(self._model)(**told, use_cache=use_cache)
        self._cache = {name: kept for name in _CACHES if (kept := getattr(output, name, None)) is not None}
        hidden_BD: Tensor = output.last_hidden_state[:, -1]
        return hidden_BD
