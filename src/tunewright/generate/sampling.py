"""The next token of each row: the most probable one, or one that is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tunewright.recipe.sampling import Sampling

# Rows whose logits are in memory at once: large enough for the head's matrix product, small enough for a cache.
CHUNK = 64
# Logits whose maximum is taken at once: about the root of a vocabulary.
_STRETCH, _SHORTEST_STRETCH = 128, 16


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
    """A token for each row: where its number falls in the cumulative distribution, in the vocabulary's order.

    Tokens are not sorted for that, so that two of almost equal logits cannot change places by rounding: a row draws the
    same beside other rows, whose company moves its logits' last digits.
    """
    share_MV = allowed(logit_MV.double() / sampling.temperature, sampling).softmax(-1)
    upto_MV = share_MV.cumsum(-1)
    whole_M = upto_MV[:, -1]
    # Rounding may lift the product to the whole, behind which there is no token.
    below_M = torch.nextafter(whole_M, torch.zeros_like(whole_M))
    wanted_M = torch.minimum(torch.tensor(chance_M, dtype=torch.float64, device=whole_M.device) * whole_M, below_M)
    return torch.searchsorted(upto_MV, wanted_M[:, None], right=True)[:, 0]


def allowed(logit_MV: Tensor, sampling: Sampling) -> Tensor:
    """Logits with minus infinity in the place of those that may not be drawn.

    Args:
        logit_MV: Already divided by the temperature, shape (M, V).
    """
    if sampling.top_k is not None and sampling.top_k < logit_MV.shape[-1]:
        last_M1 = logit_MV.topk(sampling.top_k, dim=-1).values[:, -1:]
        logit_MV = logit_MV.masked_fill(logit_MV < last_M1, -torch.inf)
    if sampling.top_p < 1:
        share_MV, order_MV = logit_MV.softmax(-1).sort(dim=-1, descending=True, stable=True)
        # A token stays if those before it have not reached the share yet: the most probable one always does.
        beyond_MV = share_MV.cumsum(-1) - share_MV >= sampling.top_p
        logit_MV = logit_MV.masked_fill(torch.zeros_like(beyond_MV).scatter(1, order_MV, beyond_MV), -torch.inf)
    if sampling.min_p:
        share_MV = logit_MV.softmax(-1)
        logit_MV = logit_MV.masked_fill(share_MV < sampling.min_p * share_MV.amax(-1, keepdim=True), -torch.inf)
    return logit_MV
