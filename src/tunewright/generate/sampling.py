"""The next token of each row: the most probable one, or one that is drawn."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunewright.base.files import hash_value
from tunewright.base.seeds import derive
from tunewright.recipe.sampling import Sampling

# Rows whose logits are in memory at once: large enough for the head's matrix product, small enough for a cache.
CHUNK = 64
# Logits whose maximum is taken at once: about the root of a vocabulary.
_STRETCH, _SHORTEST_STRETCH = 128, 16
_LEAST = -80.0  # nats below a row's likeliest token; what is less probable is never drawn
# So many of the most probable tokens are sorted at first, then more, then all; few models need many to reach a share.
_SORTED = (64, 1024)


@dataclass(frozen=True, slots=True)
class Cuts:
    """What may be drawn, row by row; each rule goes by what the ones before it have left.

    Args:
        top_k: Only the so many most probable tokens; None for all.
        top_p: Only the fewest tokens whose probabilities reach this; 1 for all.
        min_p: Only tokens at least so probable, as a share of the most probable one's; 0 for all.
    """

    top_k: Sequence[int | None]
    top_p: Sequence[float]
    min_p: Sequence[float]

    @classmethod
    def alike(cls, sampling: Sampling, rows: int) -> Cuts:
        """The same for every row."""
        return cls([sampling.top_k] * rows, [sampling.top_p] * rows, [sampling.min_p] * rows)


def chances(seed: int, prompt: Sequence[int], sample: int) -> random.Random:
    """What an answer draws from. It follows from seed, prompt and number alone, whatever else is asked beside it.

    Args:
        seed: Of what is asked.
        prompt: Its tokens.
        sample: Which of the prompt's answers it is.
    """
    return random.Random(derive(seed, "sample", sample, hash_value(np.asarray(prompt).tolist())))


def choose(
    hidden_BD: Tensor, head: Any, sampling: Sampling, chance_B: Sequence[float]
) -> tuple[list[int], list[float]]:
    """A next token for each row, and its log-probability under the model, in nats.

    Args:
        hidden_BD: States of the rows' last tokens, shape (B, D).
        head: Maps (M, D) to logits (M, V).
        sampling: How tokens are drawn.
        chance_B: A number in [0, 1) for each row, from which what is drawn follows; not read where nothing is.
    """
    tokens: list[int] = []
    logps: list[float] = []
    for start in range(0, len(hidden_BD), CHUNK):
        logit_MV = head(hidden_BD[start : start + CHUNK]).float()
        chance_M = chance_B[start : start + CHUNK]
        token_M = likeliest(logit_MV) if sampling.greedy else draw(logit_MV, sampling, chance_M)
        logit_M = logit_MV.gather(1, token_M[:, None])[:, 0]
        logps += (logit_M - logit_MV.logsumexp(-1)).tolist()
        tokens += token_M.tolist()
    return tokens, logps


def likeliest(logit_MV: Tensor) -> Tensor:
    """The place of each row's largest logit, shape (M,); of equal ones the first.

    On a processor `argmax` alone takes as long as a fifth of the head's product, since it goes from number to number.
    The maxima of short stretches are taken many numbers at a time, and leave little to search.
    """
    logit_MSW = _in_stretches(logit_MV)
    stretch_M = logit_MSW.amax(-1).argmax(-1)
    inside_M = _stretches(logit_MSW, stretch_M).argmax(-1)
    return stretch_M * logit_MSW.shape[-1] + inside_M


def draw(logit_MV: Tensor, sampling: Sampling, chance_M: Sequence[float]) -> Tensor:
    """A token for each row, all drawn alike (`draw_each`)."""
    rows = len(logit_MV)
    return draw_each(logit_MV, [sampling.temperature] * rows, Cuts.alike(sampling, rows), chance_M)


def draw_each(logit_MV: Tensor, temperature_M: Sequence[float], cuts: Cuts, chance_M: Sequence[float]) -> Tensor:
    """A token for each row: where its number falls in the cumulative distribution, in the vocabulary's order.

    Tokens are not sorted for that, so that two of almost equal logits cannot change places by rounding: a row draws the
    same beside other rows, whose company moves its logits' last digits. Whole stretches of the vocabulary are summed
    first, and one of them is looked into.

    Args:
        logit_MV: Shape (M, V).
        temperature_M: What each row's are divided by.
        cuts: What may be drawn.
        chance_M: A number in [0, 1) for each row.
    """
    weight_MSW = _in_stretches(weights(logit_MV, temperature_M, cuts))
    upto_MS = weight_MSW.sum(-1).double().cumsum(-1)
    whole_M1 = upto_MS[:, -1:]
    # Rounding may lift the product to the whole, behind which there is no token.
    below_M1 = torch.nextafter(whole_M1, torch.zeros_like(whole_M1))
    chance_M1 = torch.tensor(chance_M, dtype=torch.float64, device=logit_MV.device)[:, None]
    wanted_M1 = torch.minimum(chance_M1 * whole_M1, below_M1)
    stretch_M1 = torch.searchsorted(upto_MS, wanted_M1, right=True)
    weight_MW = _stretches(weight_MSW, stretch_M1[:, 0]).double()
    before_M1 = upto_MS.gather(1, stretch_M1) - weight_MSW.sum(-1).double().gather(1, stretch_M1)
    inside_M = torch.searchsorted(weight_MW.cumsum(-1), wanted_M1 - before_M1, right=True)[:, 0]
    # The stretch's sum was rounded otherwise than these: what falls behind its last token falls on that.
    last_M = (weight_MW > 0).cumsum(-1).argmax(-1)
    return stretch_M1[:, 0] * weight_MSW.shape[-1] + torch.minimum(inside_M, last_M)


def weights(logit_MV: Tensor, temperature_M: Sequence[float], cuts: Cuts) -> Tensor:
    """How probable each token is beside its row's likeliest one, shape (M, V); 0 where it may not be drawn.

    Args:
        logit_MV: Shape (M, V).
        temperature_M: What each row's are divided by.
        cuts: Each row's rules.
    """
    warmth_M1 = torch.tensor(temperature_M, dtype=logit_MV.dtype, device=logit_MV.device)[:, None]
    below_MV = (logit_MV - logit_MV.amax(-1, keepdim=True)).div_(warmth_M1)
    # Of numbers far below, exponentials take thirty times as long; what is not above the least one is no weight at all.
    weight_MV = functional.threshold(below_MV.clamp_(min=_LEAST - 1).exp_(), math.exp(_LEAST), 0.0, inplace=True)
    for rule, values, idle in (
        (_most_probable, cuts.top_k, None),
        (_reaching, cuts.top_p, 1.0),
        (_near_the_best, cuts.min_p, 0.0),
    ):
        rows = [row for row, value in enumerate(values) if value != idle]
        if rows:
            place_R = torch.tensor(rows, device=logit_MV.device)
            value_R1 = torch.tensor([values[row] for row in rows], device=logit_MV.device)[:, None]
            mine_RV = weight_MV if len(rows) == len(weight_MV) else weight_MV.index_select(0, place_R)
            weight_MV = weight_MV.index_copy(0, place_R, mine_RV * rule(mine_RV, value_R1))
    return weight_MV


def _most_probable(weight_RV: Tensor, count_R1: Tensor) -> Tensor:
    """Which tokens stay, shape (R, V)."""
    last_R1 = count_R1.clamp(max=weight_RV.shape[-1]) - 1
    best_RK = weight_RV.topk(int(last_R1.max()) + 1, dim=-1).values
    return weight_RV >= best_RK.gather(1, last_R1)


def _reaching(weight_RV: Tensor, share_R1: Tensor) -> Tensor:
    """Which tokens stay, shape (R, V)."""
    words, device = weight_RV.shape[-1], weight_RV.device
    wanted_R1 = share_R1.double() * weight_RV.sum(-1, keepdim=True, dtype=torch.float64)
    count_R1, last_R1 = torch.zeros_like(wanted_R1, dtype=torch.long), torch.zeros_like(weight_RV[:, :1])
    left = torch.arange(len(weight_RV), device=device)
    for width in (*(width for width in _SORTED if width < words), words):
        best_LK = weight_RV[left].topk(width, dim=-1).values
        # A token stays if those before it have not reached the share yet: the most probable one always does.
        before_LK = best_LK.cumsum(-1, dtype=torch.float64) - best_LK
        count_R1[left] = (before_LK < wanted_R1[left]).sum(-1, keepdim=True).clamp_(min=1)
        last_R1[left] = best_LK.gather(1, count_R1[left] - 1)
        left = left[count_R1[left, 0] == width]
        if not len(left):
            break
    stays_RV = weight_RV >= last_R1
    if int((stays_RV.sum(-1, keepdim=True) - count_R1).max()):
        # Of tokens as probable as the last one, the first in the vocabulary's order stay.
        equal_RV = weight_RV == last_R1
        places_R1 = count_R1 - (stays_RV & ~equal_RV).sum(-1, keepdim=True)
        stays_RV &= ~equal_RV | (equal_RV.cumsum(-1) <= places_R1)
    return stays_RV


def _near_the_best(weight_RV: Tensor, share_R1: Tensor) -> Tensor:
    """Which tokens stay, shape (R, V)."""
    return weight_RV >= share_R1  # the most probable one weighs 1


def _in_stretches(number_MV: Tensor) -> Tensor:
    """Rows cut into stretches of equal length, shape (M, S, W); as one each where there is no such divisor."""
    width = math.gcd(number_MV.shape[1], _STRETCH)
    return number_MV.view(len(number_MV), -1, width if width >= _SHORTEST_STRETCH else number_MV.shape[1])


def _stretches(number_MSW: Tensor, stretch_M: Tensor) -> Tensor:
    """One stretch of each row, shape (M, W)."""
    return number_MSW[torch.arange(len(number_MSW), device=number_MSW.device), stretch_M]
