"""One pass of a server's model: tokens of prompts that are read, and each row's newest token."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from tunewright.base.errors import TunewrightError
from tunewright.forest import layout as layouts
from tunewright.generate.drawing import Chosen, RowState, draw_rows, tell
from tunewright.generate.sampling import CHUNK
from tunewright.generate.serving.attending import PassLayout


class Adapters(Protocol):
    """What applies adapters to stretches of a pass (`generate.bank.AdapterBank`)."""

    def use(self, segments: Sequence[tuple[str, int]]) -> AbstractContextManager[Any]: ...


class Reader:
    """A model, and the adapters of its base.

    Args:
        model: Adopted, of a backend that shares prefixes.
        adapters: What applies adapters; None while none is loaded.
    """

    def __init__(self, model: Any, adapters: Adapters | None = None) -> None:
        self._backbone, self._head = layouts.backbone(model), layouts.head(model)
        self.device = next(model.parameters()).device
        self.adapters = adapters

    def states(
        self, tokens: Sequence[int], position_N: Tensor, layout: PassLayout, segments: Sequence[tuple[str, int]]
    ) -> Tensor:
        """Final states of tokens, shape (N, D).

        Args:
            tokens: N of them.
            position_N: Where they stand.
            layout: What they see.
            segments: Which adapter each stretch of them has, and how long it is; an empty key for none.
        """
        token_N = torch.tensor(tokens, dtype=torch.long, device=self.device)
        applied = nullcontext() if self.adapters is None else self.adapters.use(segments)
        with applied:
            output = self._backbone(
                input_ids=token_N[None],
                position_ids=position_N[None],
                attention_mask=None,
                use_cache=False,
                layout=layout,
            )
        hidden_ND: Tensor = output.last_hidden_state[0]
        return hidden_ND

    def score(self, hidden_ND: Tensor, tokens: Sequence[int], top: int) -> list[Chosen]:
        """What the model says of given tokens behind its states."""
        found: list[Chosen] = []
        for start in range(0, len(tokens), CHUNK):
            part = tokens[start : start + CHUNK]
            found += tell(self._head(hidden_ND[start : start + CHUNK]), part, [top] * len(part))
        return found

    def draw(
        self,
        hidden_BD: Tensor,
        rows: Sequence[RowState],
        top: Sequence[int | None],
        masks: Sequence[Tensor | None],
    ) -> list[Chosen | Exception]:
        """Each row's next token, or why there is none."""
        found: list[Chosen | Exception] = []
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            logit_MV = self._head(hidden_BD[part])
            try:
                found += draw_rows(logit_MV, rows[part], top[part], masks[part])
            except TunewrightError:  # some row's fault, which the others are not to suffer for
                for place in range(len(logit_MV)):
                    one = slice(start + place, start + place + 1)
                    try:
                        found += draw_rows(logit_MV[place : place + 1], rows[one], top[one], masks[one])
                    except TunewrightError as error:
                        found.append(error)
        return found
