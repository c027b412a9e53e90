"""Which training rows drove an answer: those whose gradient over the adapter points the way of the answer's.

A step along a training row's gradient changes the answer's log-probability by the product of both gradients (TracIn,
Pruthi et al. 2020, arXiv:2002.08484, equation 1, at the final weights); their cosine leaves out how long they are, by
which rows with rare or noisy texts would win (Hanawa et al. 2021, arXiv:2006.04528).

One backward pass for each training row would cost an epoch for each answer. The product with *one* gradient is the
derivative of a row's log-probability along it, and so the difference of two scorings of the training rows as forests
that share their prefixes, the adapter moved a little to either side. That screens the rows; of the ends of that order
the exact cosines are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import InputError, ModelError
from tunewright.forest import Path, build, score_paths
from tunewright.forest.forest import Floats
from tunewright.forest.score import score

MOVED = 0.01  # how far the adapter is moved while rows are screened, in lengths of itself
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Influence:
    """What one training row has to do with an answer.

    Args:
        row: Its place among the rows.
        similarity: Cosine of the two gradients over the adapter: near 1 it taught just this, below 0 the opposite.
    """

    row: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Influences:
    """The training rows that drove an answer.

    Args:
        toward: Those that taught it, the most similar first.
        against: Those that taught something else, the most opposed first.
        rows: How many were screened.
        agreement: Correlation of the screening with the exact products, over the rows that have both: near 1 where the
            screening can be trusted. None where it cannot be said.
    """

    toward: tuple[Influence, ...]
    against: tuple[Influence, ...]
    rows: int
    agreement: float | None


def influences(
    model: Any,
    answer: Path,
    training: Sequence[Path],
    weights: Mapping[str, Tensor],
    *,
    shown: int = 5,
    finalists: int = 32,
    listener: events.Listener = events.ignore,
) -> Influences:
    """The training rows whose gradients are most like, and most unlike, that of an answer.

    Args:
        model: Adopted, in evaluation mode.
        answer: A prompt and the answer behind it, which alone carries weights.
        training: The rows as they were learned.
        weights: What was learned (`models.adapters.learned_weights`).
        shown: Rows to name on either side.
        finalists: Rows whose exact gradients are taken, half from either end of the screening.
        listener: Hears of progress as a stage "influence", counted in rows.

    Raises:
        InputError: If there are no rows, or one has nothing that is learned.
        ModelError: If the answer's gradient is not a finite number, or nothing.
    """
    empty = [path.row for path in training if not path.weights.any()]
    if not training or empty:
        raise InputError(f"Nothing is learned from {len(empty)} of {len(training)} training rows", where="explain")
    with _trainable(weights):
        asked = _gradient(model, answer, weights)
        length = float(asked.norm())
        if not np.isfinite(length) or not length:
            raise ModelError("The answer has no gradient over the adapter: a model that gives NaN has diverged")
        slope = _screen(model, training, weights, asked / length, listener)
        order = np.argsort(slope, kind="stable")
        half = max(1, finalists // 2)
        chosen = order if len(order) <= 2 * half else np.concatenate([order[:half], order[-half:]])
        exact = {int(row): _gradient(model, training[row], weights) for row in chosen}
    cosine = {row: float(found @ asked) / (float(found.norm()) * length or 1.0) for row, found in exact.items()}
    product = np.array([float(exact[int(row)] @ asked) / length for row in chosen])
    best = sorted(cosine, key=lambda row: -cosine[row])
    return Influences(
        toward=tuple(Influence(row, cosine[row]) for row in best[:shown] if cosine[row] > 0),
        against=tuple(Influence(row, cosine[row]) for row in best[::-1][:shown] if cosine[row] < 0),
        rows=len(training),
        agreement=_correlation(slope[chosen], product),
    )


def _gradient(model: Any, path: Path, weights: Mapping[str, Tensor]) -> Tensor:
    """Gradient of a path's mean log-probability over the weights, one after another, float32 on the processor."""
    forest = build([path])
    with torch.enable_grad():
        scores = score(model, forest)
        entries = scores.logp[torch.tensor(forest.path_edge, device=scores.logp.device)]
        told = torch.tensor(forest.path_weight, device=entries.device, dtype=entries.dtype)
        mean = (entries * told).sum() / told.sum()
        found = torch.autograd.grad(mean, list(weights.values()), allow_unused=True)
    parts = [
        torch.zeros(weight.numel()) if part is None else part.detach().float().cpu().reshape(-1)
        for part, weight in zip(found, weights.values(), strict=True)
    ]
    return torch.cat(parts)


def _screen(
    model: Any, training: Sequence[Path], weights: Mapping[str, Tensor], way: Tensor, listener: events.Listener
) -> Floats:
    """Slope of each row's mean log-probability along a way of unit length, shape (R,)."""
    step = MOVED * float(torch.cat([w.detach().float().cpu().reshape(-1) for w in weights.values()]).norm()) or MOVED
    ends = []
    for number, side in enumerate((step, -step)):
        with _moved(weights, way, side):
            logp = []
            for start in range(0, len(training), _ROWS_AT_ONCE):
                logp.append(score_paths(model, training[start : start + _ROWS_AT_ONCE]))
                done = number * len(training) + min(start + _ROWS_AT_ONCE, len(training))
                listener(events.Stage("influence", "progress", done, 2 * len(training), "rows"))
            ends.append(np.concatenate(logp))
    total = np.array([float(path.weights.sum()) for path in training])
    slope: Floats = (ends[0] - ends[1]) / (2 * step * total)
    return slope


@contextmanager
def _moved(weights: Mapping[str, Tensor], way: Tensor, step: float) -> Iterator[None]:
    """The weights moved along a way while open; afterwards they are what they were, to the bit."""
    kept = {name: weight.detach().clone() for name, weight in weights.items()}
    start = 0
    with torch.no_grad():
        for weight in weights.values():
            part = way[start : start + weight.numel()].reshape(weight.shape).to(weight.device, weight.dtype)
            weight.add_(part, alpha=step)
            start += weight.numel()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(kept[name])


@contextmanager
def _trainable(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Lets gradients be taken over the weights while open."""
    before = {name: weight.requires_grad for name, weight in weights.items()}
    for weight in weights.values():
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for name, weight in weights.items():
            weight.requires_grad_(before[name])


def _correlation(left: Floats, right: Floats) -> float | None:
    if len(left) < 3 or not left.std() or not right.std():
        return None
    return float(np.corrcoef(left, right)[0, 1])
