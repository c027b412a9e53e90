"""Log-probabilities on edges, without ever holding all logits."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.base.errors import TunewrightError
from tunewright.forest.forest import Forest
from tunewright.forest.sizes import fill_rows

CHUNK = 256  # sources whose logits are in memory at once
_ROWS = 16  # of these in float32, so that a cache holds them (`models.memory` counts on it)


class ShapeError(TunewrightError):
    """An edge names a node that does not exist."""


@dataclass(frozen=True, slots=True)
class EdgeScores:
    """What the head says of each edge.

    Args:
        logp: Log-probability of the edge's target, in nats, float32, shape (E,). Under label smoothing, its mean over
            the smoothed target.
        hit: Whether the target is the most probable token, bool, shape (E,).
        reference: `logp` under the reference model, without a gradient; None where no objective asked for it.
    """

    logp: Tensor
    hit: Tensor
    reference: Tensor | None = None


def edge_scores(hidden_ND: Tensor, head: nn.Module, forest: Forest, *, smoothing: float = 0.0) -> EdgeScores:
    """Log-probability of each edge's target token, differentiable in the hidden states and the head's weights.

    The head runs on sources only, in chunks. Where its weights are frozen, a chunk's gradient with respect to its
    hidden states is taken at once and kept (D numbers an edge in place of V), so that the backward pass neither
    needs the logits nor computes them again.

    Args:
        hidden_ND: Final hidden states, shape (N, D).
        head: Maps (M, D) to logits (M, V).
        forest: Whose edges to score.
        smoothing: Share of each target that is spread evenly over the vocabulary (Szegedy et al. 2016,
            arXiv:1512.00567).
    Raises:
        ShapeError: If an edge names a node >= N.
    """
    device = hidden_ND.device
    if len(forest.source) and int(forest.source.max()) >= len(hidden_ND):
        raise ShapeError(f"An edge leaves node {int(forest.source.max())}, and there are {len(hidden_ND)}")
    source_E = torch.tensor(forest.source, device=device)
    target_E = torch.tensor(forest.target, device=device)
    distinct_S, place_E = torch.unique_consecutive(source_E, return_inverse=True)
    frozen = not any(weight.requires_grad for weight in head.parameters())
    logps, hits = [], []
    for start in range(0, len(distinct_S), CHUNK):
        nodes_M = distinct_S[start : start + CHUNK]
        inside = (place_E >= start) & (place_E < start + len(nodes_M))
        row_e, target_e = place_E[inside] - start, target_E[inside]
        hidden_MD = hidden_ND.index_select(0, nodes_M)
        if not torch.is_grad_enabled():
            logp_e, hit_e = _score(hidden_MD, head, row_e, target_e, smoothing)
        elif frozen and hidden_MD.requires_grad:
            logp_e, hit_e = _FrozenHead.apply(hidden_MD, head, row_e, target_e, smoothing)  # type: ignore[no-untyped-call]
        else:
            logp_e, hit_e = torch.utils.checkpoint.checkpoint(
                _score, hidden_MD, head, row_e, target_e, smoothing, use_reentrant=False
            )
        logps.append(logp_e)
        hits.append(hit_e)
    empty = torch.zeros(0, device=device)
    return EdgeScores(logp=torch.cat([empty, *logps]), hit=torch.cat([empty.bool(), *hits]))


def _score(
    hidden_MD: Tensor, head: nn.Module, row_e: Tensor, target_e: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Scores of the edges that leave some nodes: row `row_e[i]` must predict `target_e[i]`."""
    logits_MV = head(fill_rows(hidden_MD)).float()
    lse_M = logits_MV.logsumexp(-1)
    logit_e = logits_MV.view(-1).index_select(0, row_e * logits_MV.shape[1] + target_e)
    if smoothing:
        logit_e = (1.0 - smoothing) * logit_e + smoothing * logits_MV.mean(-1).index_select(0, row_e)
    hit_e = logits_MV.detach().argmax(-1).index_select(0, row_e) == target_e
    return logit_e - lse_M.index_select(0, row_e), hit_e


class _FrozenHead(torch.autograd.Function):
    """`_score` for a head that is not trained: keeps each edge's gradient in place of the logits.

    An edge's log-probability depends on its own source's hidden state alone, so one backward pass through the head
    gives the gradients of one edge of every source. Sources with more edges take a pass over just those for each.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden_MD: Tensor, head: nn.Module, row_e: Tensor, target_e: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        turn_e = _turns(row_e)
        logp_e = torch.empty(len(row_e), device=hidden_MD.device)
        hit_e = torch.empty(len(row_e), dtype=torch.bool, device=hidden_MD.device)
        gradient_eD = hidden_MD.new_empty(len(row_e), hidden_MD.shape[1])
        for turn in range(int(turn_e.max()) + 1 if len(turn_e) else 0):
            chosen = torch.nonzero(turn_e == turn).view(-1)
            leaf = hidden_MD.detach().index_select(0, row_e[chosen]).requires_grad_()
            with torch.enable_grad():
                logits_MV = head(fill_rows(leaf))
            slope_MV, real = torch.empty_like(logits_MV), slice(len(chosen))
            slope_MV[len(chosen) :] = 0.0
            logp_e[chosen], hit_e[chosen] = _slopes(
                logits_MV.detach()[real], target_e[chosen], smoothing, slope_MV[real]
            )
            (gradient_eD[chosen],) = torch.autograd.grad(logits_MV, leaf, slope_MV)
        ctx.save_for_backward(row_e, gradient_eD)
        ctx.rows = len(hidden_MD)
        ctx.mark_non_differentiable(hit_e)
        return logp_e, hit_e

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        row_e: Tensor
        gradient_eD: Tensor
        row_e, gradient_eD = ctx.saved_tensors
        weighted_eD: Tensor = grads[0][:, None].to(gradient_eD.dtype) * gradient_eD
        total_MD: Tensor = weighted_eD.new_zeros(ctx.rows, weighted_eD.shape[1])
        total_MD.index_add_(0, row_e, weighted_eD)
        return total_MD, None, None, None, None


def _slopes(logits_mV: Tensor, target_m: Tensor, smoothing: float, slope_mV: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's log-probability of its target and whether that is the most probable, shapes (m,).

    Writes the derivatives of the log-probabilities by the logits into `slope_mV`. A few rows at a time are in float32.
    """
    logp_m, hit_m = (
        logits_mV.new_empty(len(logits_mV), dtype=torch.float32),
        torch.empty_like(target_m, dtype=torch.bool),
    )
    for start in range(0, len(logits_mV), _ROWS):
        span = slice(start, start + _ROWS)
        wide_rV, target_r1 = logits_mV[span].float(), target_m[span, None]
        greatest_r, best_r = wide_rV.max(-1)
        logit_r = wide_rV.gather(1, target_r1)[:, 0]
        if smoothing:
            logit_r = (1.0 - smoothing) * logit_r + smoothing * wide_rV.mean(-1)
        sum_r = wide_rV.sub_(greatest_r[:, None]).exp_().sum(-1)
        logp_m[span], hit_m[span] = logit_r - greatest_r - sum_r.log(), best_r == target_r1[:, 0]
        # The target's share of one, less each token's probability.
        slope_rV = wide_rV.div_(-sum_r[:, None])
        if smoothing:
            slope_rV.add_(smoothing / slope_rV.shape[1])
        slope_rV.scatter_(1, target_r1, slope_rV.gather(1, target_r1) + (1.0 - smoothing))
        slope_mV[span] = slope_rV
    return logp_m, hit_m


def _turns(row_e: Tensor) -> Tensor:
    """For sorted rows, how many earlier edges leave the same row: 0 for the first, 1 for the second, …"""
    place = torch.arange(len(row_e), device=row_e.device)
    _, inverse, counts = torch.unique_consecutive(row_e, return_inverse=True, return_counts=True)
    first = torch.cumsum(counts, 0) - counts
    turn_e: Tensor = place - first.index_select(0, inverse)
    return turn_e


@torch.no_grad()
def target_logp(
    hidden_MD: Tensor, head: nn.Module, row_E: Tensor, target_E: Tensor, *, best: bool
) -> tuple[Tensor, Tensor | None]:
    """Log-probability of target tokens, where states are at hand and nothing is learned.

    Args:
        hidden_MD: States that predict, each of them something, shape (M, D).
        head: Maps (m, D) to logits (m, V); called in chunks.
        row_E: Which state predicts, rising, shape (E,).
        target_E: What it predicts, shape (E,).
        best: Whether each state's most probable token is asked for, which takes another look at all logits.
    Returns:
        Log-probabilities in nats, float32, shape (E,), none of them over 0, each state's normaliser taken once for all
        its edges; and the most probable tokens, shape (M,), or None.
    """
    best_M = torch.empty(len(hidden_MD), dtype=torch.long, device=hidden_MD.device) if best else None
    logp_E = torch.empty(len(row_E), device=hidden_MD.device)
    starts = torch.arange(0, len(hidden_MD) + CHUNK, CHUNK, device=row_E.device)
    bounds = torch.searchsorted(row_E, starts).tolist()
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        span = slice(number * CHUNK, (number + 1) * CHUNK)
        logits_mV = head(fill_rows(hidden_MD[span]))[: len(hidden_MD[span])].float()
        if best_M is not None:
            best_M[span] = logits_mV.argmax(-1)
        greatest_m = logits_mV.amax(-1)
        row_e = row_E[first:last] - span.start
        logit_e = logits_mV.view(-1).index_select(0, row_e * logits_mV.shape[1] + target_E[first:last])
        # The logits are of no use any more: the sum is taken in their place.
        sum_m = logits_mV.sub_(greatest_m[:, None]).exp_().sum(-1)
        logp_E[first:last] = logit_e - (greatest_m + sum_m.log()).index_select(0, row_e)
    return logp_E.clamp_(max=0.0), best_M
