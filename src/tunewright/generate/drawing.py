"""The next token of rows that are each chosen in a way of their own: how warm, cut how, with which penalties.

A row's logits pass these stations, each of which most rows skip: repetition penalty, frequency and presence penalty,
bias, what its grammar allows, temperature, top-k, top-p, min-p. Then the likeliest token is taken, or one is drawn as
`generate.sampling` does it, so that a row draws here what evaluation draws.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.base.errors import InputError, TunewrightError
from tunewright.generate.sampling import Cuts, chances, draw_each, likeliest

#: Most alternatives to a token that are told, as in OpenAI's API.
MOST_ALTERNATIVES = 20
_COLD = 1e-6  # dividing by less leaves the likeliest token as well, where it leaves finite numbers
_STRONGEST_BIAS, _STRONGEST_PENALTY = 100.0, 2.0

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_NOTHING: tuple[Ints, Floats] = np.zeros(0, dtype=np.int64), np.zeros(0)
# What the strongest bias weighs, at temperatures up to 1: more than any two logits lie apart. Where all that a grammar
# allows is banned, the best of that is still found.
_DECISIVE = 1000.0
_FORBIDDEN = -1e30  # finite, since adding infinity times 0 would leave no number


@dataclass(frozen=True)
class Choosing:
    """How an answer's tokens are chosen, in OpenAI's words.

    Args:
        temperature: Divisor of the logits; 0 for the likeliest token, always.
        top_p: Only the fewest tokens whose probabilities reach this.
        top_k: Only the so many most probable tokens; None for all.
        min_p: Only tokens at least so probable, as a share of the most probable one's.
        seed: What is drawn follows from it, the prompt and the answer's number; None: it differs each time.
        frequency_penalty: Taken off a token's logit for each time that the answer has it.
        presence_penalty: Taken off once if the answer has it at all.
        repetition_penalty: Divides the logits above 0 of tokens that prompt or answer have, and multiplies those below
            (Keskar et al. 2019, arXiv:1909.05858).
        logit_bias: Added to tokens' logits; -100 bans a token, 100 leaves no others.

    Raises:
        InputError: If a value is out of its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range("temperature", self.temperature, 0, math.inf)
        _check_range("top_p", self.top_p, 0, 1)
        _check_range("min_p", self.min_p, 0, 1)
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"{self.top_k} is below 1", where="top_k", hint="Leave it out to draw from all tokens.")
        for name in ("frequency_penalty", "presence_penalty"):
            _check_range(name, getattr(self, name), -_STRONGEST_PENALTY, _STRONGEST_PENALTY)
        if not 0 < self.repetition_penalty < math.inf:
            raise InputError(f"{self.repetition_penalty} is not above 0", where="repetition_penalty", hint="1 is none.")
        for token, bias in self.logit_bias.items():
            _check_range(f"logit_bias[{token}]", bias, -_STRONGEST_BIAS, _STRONGEST_BIAS)

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature < _COLD

    def check(self, words: int) -> None:
        """Refuses a bias on a token that a vocabulary of so many words does not have.

        Raises:
            InputError: Names the token.
        """
        for token in self.logit_bias:
            if not 0 <= token < words:
                raise InputError(
                    f"There is no token {token}: this model's are numbered from 0 to {words - 1}", where="logit_bias"
                )

    @cached_property
    def bias(self) -> tuple[Ints, Floats]:
        """Tokens, and what is added to their logits, shape (S,) both."""
        decisive = _DECISIVE * max(1.0, self.temperature)
        added = [math.copysign(decisive, x) if abs(x) == _STRONGEST_BIAS else x for x in self.logit_bias.values()]
        return np.array([*self.logit_bias], dtype=np.int64), np.array(added, dtype=np.float64)

    @property
    def penalises(self) -> bool:
        """Whether it matters which tokens an answer has already."""
        return bool(self.frequency_penalty or self.presence_penalty or self.repetition_penalty != 1)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token that was chosen.

    Args:
        token: Its id.
        logprob: Its log-probability in nats, under the model's own distribution, neither tempered nor cut.
        top: The likeliest tokens, with the same of each, the likeliest first; empty where none were asked for.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class RowState:
    """What choosing an answer's next token depends on besides its logits: what it has, and what it draws from.

    Args:
        choosing: How its tokens are chosen.
        prompt: Tokens in front of it.
        sample: Which of the prompt's answers it is.
    """

    def __init__(self, choosing: Choosing, prompt: Sequence[int], sample: int = 0) -> None:
        self.choosing = choosing
        self._prompt, self._sample = prompt, sample
        self._seen = _Seen(prompt if choosing.repetition_penalty != 1 else ()) if choosing.penalises else None

    def take(self, token: int) -> None:
        """Notes the answer's next token. `draw_rows` does; tokens that were not drawn must be noted beside it."""
        if self._seen is not None:
            self._seen.add(token)

    def chance(self) -> float:
        """A number in [0, 1) for its next token; 0 where nothing is drawn."""
        return 0.0 if self.choosing.greedy else self._random.random()

    @cached_property
    def _random(self) -> random.Random:
        seed = secrets.randbits(63) if self.choosing.seed is None else self.choosing.seed
        return chances(seed, self._prompt, self._sample)

    @property
    def shifts(self) -> bool:
        """Whether penalties or a bias change its logits."""
        return self._seen is not None or bool(self.choosing.logit_bias)

    def seen(self) -> tuple[Ints, Floats]:
        """Tokens that are penalised, and how often the answer has each, shape (S,) both."""
        return self._seen.arrays() if self._seen is not None else _NOTHING


class _Seen:
    """Which tokens a row has, and how often its answer has each; those of its prompt alone count 0.

    Arrays that grow, so that a step adds one number and looks nothing up in a long answer again.
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        known = dict.fromkeys(prompt)
        self._place = {token: place for place, token in enumerate(known)}
        self._tokens = np.array([*known, *[0] * (len(known) + 64)], dtype=np.int64)
        self._counts = np.zeros(len(self._tokens), dtype=np.float64)

    def add(self, token: int) -> None:
        place = self._place.setdefault(token, len(self._place))
        if place == len(self._tokens):
            self._tokens, self._counts = (np.concatenate([x, np.zeros_like(x)]) for x in (self._tokens, self._counts))
        self._tokens[place] = token
        self._counts[place] += 1

    def arrays(self) -> tuple[Ints, Floats]:
        """Token ids and counts, shape (S,) each, each token once."""
        return self._tokens[: len(self._place)], self._counts[: len(self._place)]


def draw_rows(
    logit_MV: Tensor, rows: Sequence[RowState], top: Sequence[int | None], masks: Sequence[Tensor | None]
) -> list[Chosen]:
    """Chooses each row's next token, and notes it in the row; where it fails, no row has moved.

    Args:
        logit_MV: The model's own, shape (M, V); they stay as they are.
        rows: What each is chosen by, M of them.
        top: How many of the likeliest tokens are told beside each; None for none.
        masks: The tokens that each row's grammar allows, as packed bits (`constraint.Constraint.mask`), shape
            (V / 32,) rounded up, int32; None for all.
    Raises:
        TunewrightError: If the model gave numbers that are not finite, or if a row may choose nothing.
    """
    logit_MV = logit_MV.float()
    whole_M1 = _whole(logit_MV)
    odd = [place for place, row in enumerate(rows) if not row.choosing.greedy or row.shifts or masks[place] is not None]
    token_M = likeliest(logit_MV) if len(odd) < len(rows) else torch.empty(len(rows), dtype=torch.long)
    token_M = token_M.to(logit_MV.device)
    if odd:
        place_R = torch.tensor(odd, device=logit_MV.device)
        logit_RV = logit_MV.index_select(0, place_R)
        _shift(logit_RV, [rows[place] for place in odd])
        _restrict(logit_RV, [masks[place] for place in odd])
        token_M[place_R] = _choose(logit_RV, [rows[place] for place in odd])
    tokens = token_M.tolist()
    for row, token in zip(rows, tokens, strict=True):
        row.take(token)
    return _told(logit_MV, whole_M1, tokens, top)


def tell(logit_MV: Tensor, tokens: Sequence[int], top: Sequence[int | None]) -> list[Chosen]:
    """What the model says of tokens that stand fast: forced ones, or those of a prompt.

    Args:
        logit_MV: The model's own, shape (M, V).
        tokens: One for each row.
        top: How many of the likeliest tokens are told beside each; None for none.
    Raises:
        TunewrightError: If the model gave numbers that are not finite.
    """
    logit_MV = logit_MV.float()
    return _told(logit_MV, _whole(logit_MV), tokens, top)


def _whole(logit_MV: Tensor) -> Tensor:
    """What each row's logits are normalised by, shape (M, 1); raises as `tell` does."""
    whole_M1 = logit_MV.logsumexp(-1, keepdim=True)
    if not bool(whole_M1.isfinite().all()):
        raise TunewrightError("The model gave logits that are not finite numbers", hint="Check its weights.")
    return whole_M1


def _told(logit_MV: Tensor, whole_M1: Tensor, tokens: Sequence[int], top: Sequence[int | None]) -> list[Chosen]:
    """The tokens as they were chosen, with what the model says of them."""
    token_M1 = torch.tensor(tokens, dtype=torch.long, device=logit_MV.device)[:, None]
    logps = (logit_MV.gather(1, token_M1) - whole_M1)[:, 0].tolist()
    best: list[tuple[tuple[int, float], ...]] = [()] * len(tokens)
    wanted = [place for place, count in enumerate(top) if count]
    if wanted:
        place_R = torch.tensor(wanted, device=logit_MV.device)
        most = min(max(top[place] or 0 for place in wanted), logit_MV.shape[-1])
        values_RK, tokens_RK = logit_MV.index_select(0, place_R).topk(most, dim=-1)
        values_RK = values_RK - whole_M1.index_select(0, place_R)
        for place, values, words in zip(wanted, values_RK.tolist(), tokens_RK.tolist(), strict=True):
            best[place] = tuple(zip(words, values, strict=True))[: top[place]]
    return [Chosen(*each) for each in zip(tokens, logps, best, strict=True)]


def _shift(logit_RV: Tensor, rows: Sequence[RowState]) -> None:
    """Adds penalties and biases, in place."""
    seen = [row.seen() for row in rows]
    sizes = [len(tokens) for tokens, _ in seen]
    if any(sizes):
        place_S = _places([tokens for tokens, _ in seen], logit_RV)
        count_S = torch.from_numpy(np.concatenate([counts for _, counts in seen])).to(logit_RV)
        factor_S, often_S, once_S = (
            torch.from_numpy(np.repeat([float(getattr(row.choosing, name)) for row in rows], sizes)).to(logit_RV)
            for name in ("repetition_penalty", "frequency_penalty", "presence_penalty")
        )
        kept_S = logit_RV.view(-1)[place_S]
        kept_S = torch.where(kept_S < 0, kept_S * factor_S, kept_S / factor_S)
        logit_RV.view(-1)[place_S] = kept_S - often_S * count_S - once_S * (count_S > 0)
    biases = [row.choosing.bias for row in rows]
    if any(len(tokens) for tokens, _ in biases):
        added_S = torch.from_numpy(np.concatenate([values for _, values in biases])).to(logit_RV)
        logit_RV.view(-1)[_places([tokens for tokens, _ in biases], logit_RV)] += added_S


def _places(tokens: Sequence[Ints], logit_RV: Tensor) -> Tensor:
    """Where each row's tokens stand in all rows' logits one after another."""
    words = logit_RV.shape[-1]
    return torch.from_numpy(np.concatenate([row * words + x for row, x in enumerate(tokens)])).to(logit_RV.device)


def _restrict(logit_RV: Tensor, masks: Sequence[Tensor | None]) -> None:
    """Leaves what grammars allow, in place."""
    held = [(place, mask) for place, mask in enumerate(masks) if mask is not None]
    if not held:
        return
    words = logit_RV.shape[-1]
    packed = torch.stack([mask for _, mask in held]).cpu().numpy().view(np.uint8)
    allowed = np.unpackbits(packed, axis=1, count=words, bitorder="little")
    if not allowed.any(1).all():
        raise TunewrightError("A grammar allows no token at all")
    # Adding is several times as fast as filling in.
    added_HV = torch.from_numpy(allowed).to(logit_RV).sub_(1).mul_(-_FORBIDDEN)
    if len(held) == len(logit_RV):
        logit_RV += added_HV
    else:
        logit_RV.index_add_(0, torch.tensor([place for place, _ in held], device=logit_RV.device), added_HV)


def _choose(logit_RV: Tensor, rows: Sequence[RowState]) -> Tensor:
    """A token for each row, by temperature and cuts."""
    drawn = [place for place, row in enumerate(rows) if not row.choosing.greedy]
    token_R = likeliest(logit_RV) if len(drawn) < len(rows) else torch.empty_like(logit_RV[:, 0], dtype=torch.long)
    if drawn:
        place_D = torch.tensor(drawn, device=logit_RV.device)
        how = [rows[place].choosing for place in drawn]
        cuts = Cuts([one.top_k for one in how], [one.top_p for one in how], [one.min_p for one in how])
        mine_DV = logit_RV if len(drawn) == len(rows) else logit_RV.index_select(0, place_D)
        chosen_D = draw_each(mine_DV, [one.temperature for one in how], cuts, [rows[x].chance() for x in drawn])
        token_R[place_D] = chosen_D
    return token_R


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most or math.isinf(value):
        bounds = f"below {least:g}" if math.isinf(most) else f"outside of {least:g} to {most:g}"
        raise InputError(f"{value} is {bounds}", where=name)
