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

from tunewright.base.files import hash_value
from tunewright.base.seeds import derive
from tunewright.recipe.sampling import Sampling

# Rows whose logits are in memory at once: large enough for the head's matrix product, small enough for a cache.
CHUNK = 64
# Logits whose maximum is taken at once: about the root of a vocabulary.
_STRETCH, _SHORTEST_STRETCH = 128, 16
# So many of the most probable tokens are sorted at first; few models need more to reach a share such as 0.95.
_SORTED = 256


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
    rows, width = logit_MV.shape[0], math.gcd(logit_MV.shape[1], _STRETCH)
    if width < _SHORTEST_STRETCH:
        return logit_MV.argmax(-1)
    logit_MSW = logit_MV.view(rows, -1, width)
    stretch_M = logit_MSW.amax(-1).argmax(-1)
    inside_M = logit_MSW[torch.arange(rows, device=logit_MV.device), stretch_M].argmax(-1)
    return stretch_M * width + inside_M


def draw(logit_MV: Tensor, sampling: Sampling, chance_M: Sequence[float]) -> Tensor:
    """A token for each row, all drawn alike (`draw_each`)."""
    rows = len(logit_MV)
    return draw_each(logit_MV.double() / sampling.temperature, Cuts.alike(sampling, rows), chance_M)


def draw_each(logit_MV: Tensor, cuts: Cuts, chance_M: Sequence[float]) -> Tensor:
    """A token for each row: where its number falls in the cumulative distribution, in the vocabulary's order.

    Tokens are not sorted for that, so that two of almost equal logits cannot change places by rounding: a row draws the
    same beside other rows, whose company moves its logits' last digits.

    Args:
        logit_MV: In float64, already divided by the temperature, shape (M, V).
        cuts: What may be drawn.
        chance_M: A number in [0, 1) for each row.
    """
    share_MV = allowed_each(logit_MV, cuts).softmax(-1)
    upto_MV = share_MV.cumsum(-1)
    whole_M = upto_MV[:, -1]
    # Rounding may lift the product to the whole, behind which there is no token.
    below_M = torch.nextafter(whole_M, torch.zeros_like(whole_M))
    wanted_M = torch.minimum(torch.tensor(chance_M, dtype=torch.float64, device=whole_M.device) * whole_M, below_M)
    return torch.searchsorted(upto_MV, wanted_M[:, None], right=True)[:, 0]


def allowed(logit_MV: Tensor, sampling: Sampling) -> Tensor:
    """Logits with minus infinity in the place of those that may not be drawn, by the same rules in every row.

    Args:
        logit_MV: Already divided by the temperature, shape (M, V).
    """
    return allowed_each(logit_MV, Cuts.alike(sampling, len(logit_MV)))


def allowed_each(logit_MV: Tensor, cuts: Cuts) -> Tensor:
    """Logits with minus infinity in the place of those that may not be drawn.

    Args:
        logit_MV: Already divided by the temperature, shape (M, V).
        cuts: Each row's rules.
    """
    for rule, values, idle in (
        (_most_probable, cuts.top_k, None),
        (_reaching, cuts.top_p, 1.0),
        (_near_the_best, cuts.min_p, 0.0),
    ):
        rows = [row for row, value in enumerate(values) if value != idle]
        if rows:
            place_R = torch.tensor(rows, device=logit_MV.device)
            value_R1 = torch.tensor([values[row] for row in rows], device=logit_MV.device)[:, None]
            logit_MV = logit_MV.index_copy(0, place_R, rule(logit_MV.index_select(0, place_R), value_R1))
    return logit_MV


def _most_probable(logit_RV: Tensor, count_R1: Tensor) -> Tensor:
    words = logit_RV.shape[-1]
    last_R1 = count_R1.clamp(max=words) - 1
    best_RK = logit_RV.topk(int(last_R1.max()) + 1, dim=-1).values
    return logit_RV.masked_fill(logit_RV < best_RK.gather(1, last_R1), -torch.inf)


def _reaching(logit_RV: Tensor, wanted_R1: Tensor) -> Tensor:
    share_RV = logit_RV.softmax(-1)
    words = share_RV.shape[-1]
    for width in (min(_SORTED, words), words):
        best_RK = share_RV.topk(width, dim=-1).values
        # A token stays if those before it have not reached the share yet: the most probable one always does.
        count_R1 = (best_RK.cumsum(-1) - best_RK < wanted_R1).sum(-1, keepdim=True).clamp(min=1)
        if int(count_R1.max()) < width:
            break
    last_R1 = best_RK.gather(1, count_R1 - 1)
    stays_RV, equal_RV = share_RV > last_R1, share_RV == last_R1
    # Of tokens as probable as the last one, the first in the vocabulary's order stay.
    places_R1 = count_R1 - stays_RV.sum(-1, keepdim=True)
    stays_RV |= equal_RV & (equal_RV.cumsum(-1) <= places_R1)
    return logit_RV.masked_fill(~stays_RV, -torch.inf)


def _near_the_best(logit_RV: Tensor, share_R1: Tensor) -> Tensor:
    share_RV = logit_RV.softmax(-1)
    return logit_RV.masked_fill(share_RV < share_R1 * share_RV.amax(-1, keepdim=True), -torch.inf)
