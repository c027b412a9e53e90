"""One pass of a server's model: tokens of prompts that are read, and each row's newest token."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from tunewright.base.errors import TunewrightError
from tunewright.forest import layout as layouts
from tunewright.generate.drawing import Chosen, RowState, draw_rows, tell
from tunewright.generate.sampling import CHUNK
from tunewright.generate.serving.attending import PassLayout

Segments = Sequence[tuple[str, int]]


class Adapters(Protocol):
    """What applies adapters to stretches of a pass (`generate.bank.AdapterBank`)."""

    @property
    def keys(self) -> Sequence[str]: ...

    def use(self, segments: Segments) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True)
class Asked:
    """What is wanted of a state's logits.

    Args:
        state: Of the row whose token is to be drawn.
        adapter: Key of the adapter that the state was computed with.
        top: How many of the likeliest tokens are told beside it; None for none.
        token: The token, where it stands fast.
        mask: Which tokens may be drawn; None for all.
    """

    state: RowState
    adapter: str
    top: int | None
    token: int | None = None
    mask: Tensor | None = None


class Head:
    """A model's head, and the adapters of its base.

    Args:
        model: Adopted.
    """

    def __init__(self, model: Any) -> None:
        self._head = layouts.head(model)
        self.adapters: Adapters | None = None  # none are loaded

    def _with(self, segments: Segments) -> AbstractContextManager[Any]:
        adapters = self.adapters
        return nullcontext() if adapters is None else adapters.use(segments)

    def score(self, hidden_ND: Tensor, tokens: Sequence[int], top: int, adapter: str) -> list[Chosen]:
        """What the model says of given tokens behind its states."""
        found: list[Chosen] = []
        for start in range(0, len(tokens), CHUNK):
            part = tokens[start : start + CHUNK]
            with self._with([(adapter, len(part))]):
                logit_MV = self._head(hidden_ND[start : start + CHUNK])
            found += tell(logit_MV, part, [top] * len(part))
        return found

    def choose(self, hidden_TD: Tensor, asked: Sequence[Asked]) -> list[Chosen | Exception]:
        """The token behind each state, or why there is none."""
        found: list[Chosen | Exception] = []
        for start in range(0, len(asked), CHUNK):
            part = asked[start : start + CHUNK]
            with self._with(merged([(one.adapter, 1) for one in part])):
                logit_MV = self._head(hidden_TD[start : start + CHUNK])
            found += _chosen(logit_MV, part)
        return found


class Reader(Head):
    """A model that shares prefixes, one pass at a time.

    Args:
        model: Adopted.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._backbone, self.device = layouts.backbone(model), next(model.parameters()).device

    def states(self, tokens: Sequence[int], position_N: Tensor, layout: PassLayout, segments: Segments) -> Tensor:
        """Final states of tokens, shape (N, D).

        Args:
            tokens: N of them.
            position_N: Where they stand.
            layout: What they see.
            segments: Which adapter each stretch of them has, and how long it is; an empty key for none.
        """
        token_N = torch.tensor(tokens, dtype=torch.long, device=self.device)
        with self._with(segments):
            output = self._backbone(
                input_ids=token_N[None],
                position_ids=position_N[None],
                attention_mask=None,
                use_cache=False,
                layout=layout,
            )
        hidden_ND: Tensor = output.last_hidden_state[0]
        return hidden_ND


def merged(segments: Segments) -> list[tuple[str, int]]:
    """Stretches of a pass by adapter, neighbours of one adapter in one."""
    found: list[tuple[str, int]] = []
    for key, count in segments:
        if found and found[-1][0] == key:
            found[-1] = (key, found[-1][1] + count)
        else:
            found.append((key, count))
    return found


def _chosen(logit_MV: Tensor, asked: Sequence[Asked]) -> list[Chosen | Exception]:
    """The token of each row of logits, or why there is none."""
    fast = [place for place, one in enumerate(asked) if one.token is not None]
    if not fast:
        return _drawn(logit_MV, asked)
    free = [place for place, one in enumerate(asked) if one.token is None]
    found: dict[int, Chosen | Exception] = {}
    for places, how in ((fast, _told), (free, _drawn)):
        if places:
            index = torch.tensor(places, device=logit_MV.device)
            chosen = how(logit_MV.index_select(0, index), [asked[place] for place in places])
            found |= dict(zip(places, chosen, strict=True))
    return [found[place] for place in range(len(asked))]


def _told(logit_MV: Tensor, asked: Sequence[Asked]) -> list[Chosen | Exception]:
    """What the model says of tokens that stand fast."""
    tokens = [one.token for one in asked if one.token is not None]
    try:
        return list(tell(logit_MV, tokens, [one.top for one in asked]))
    except TunewrightError as error:
        return [error] * len(asked)


def _drawn(logit_MV: Tensor, asked: Sequence[Asked]) -> list[Chosen | Exception]:
    """A token for each row; where one row's cannot be drawn, the others' are."""
    states, top, masks = ([getattr(one, name) for one in asked] for name in ("state", "top", "mask"))
    try:
        return list(draw_rows(logit_MV, states, top, masks))
    except TunewrightError as error:
        if len(asked) == 1:
            return [error]
    return [_drawn(logit_MV[place : place + 1], [one])[0] for place, one in enumerate(asked)]
