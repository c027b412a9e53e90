"""Edge scores beside those of a reference: the same model as it was before training.

Objectives that hold a model against where it started (DPO, and the divergence terms of reinforcement) need both on the
same edges. The forest is built once, and the reference costs a forward pass without gradients. No second model is kept:
a fresh adapter is switched off; where what trains was something before, an adapter that learns on or the base's own
weights, it is kept as it was, to be put back for the pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from tunewright.forest.edges import EdgeScores
from tunewright.forest.forest import Forest
from tunewright.forest.layout import unwrap
from tunewright.forest.score import score


class Start:
    """A model as it is now, before training, whatever will be trained of it.

    Args:
        model: With its adapter, if it has one. Of the base's own weights, those that train are copied.
        learns_on: Whether the adapter had learned before, and is a part of the start: its weights are copied, too.
    """

    def __init__(self, model: nn.Module, *, learns_on: bool = False) -> None:
        self._model, self._open = model, without_noise if learns_on else adapter_off
        with self._open(model) as start:
            self._kept = [(weight, weight.detach().clone()) for weight in start.parameters() if weight.requires_grad]

    @contextmanager
    def back(self) -> Iterator[nn.Module]:
        """The model as it was, without noise, while open; afterwards it is as it was a moment ago."""
        with self._open(self._model) as start:
            self._swap()
            try:
                yield start
            finally:
                self._swap()

    def _swap(self) -> None:
        """Weights and copies change places; no number is moved."""
        for place, (weight, other) in enumerate(self._kept):
            self._kept[place] = weight, weight.data
            weight.data = other


@torch.no_grad()
def reference_logp(start: Start, forests: Iterable[Forest], backend: str | None = None) -> list[Tensor]:
    """Log-probability of each forest's edges under a model as it was at its start, shapes (E,)."""
    # All at once: to switch an adapter off and on again takes PEFT longer than it takes a small model to score.
    with start.back() as base:
        return [score(base, forest, backend).logp for forest in forests]


def score_with_reference(
    model: nn.Module, forest: Forest, backend: str | None = None, *, start: Start | None = None
) -> EdgeScores:
    """Scores of a forest's edges under a model, with those at its start as `reference`.

    Args:
        start: How the model began; may be left out where none of the base's own weights has trained.
    """
    # First the reference: what its pass takes is free again before the model's own activations are kept.
    (reference,) = reference_logp(start or Start(model), [forest], backend)
    return replace(score(model, forest, backend), reference=reference)


@contextmanager
def adapter_off(model: nn.Module) -> Iterator[nn.Module]:
    """The base without its adapter and without noise while open; afterwards all is as it was.

    An adapter is what a context manager `disable_adapter()` switches off, as PEFT's models have one.
    """
    # PEFT freezes what it switches off, and trains all of it afterwards: also what the method had frozen.
    trained = {weight: weight.requires_grad for weight in model.parameters()}
    try:
        with without_noise(model), getattr(model, "disable_adapter", nullcontext)():
            yield unwrap(model)
    finally:
        for weight, value in trained.items():
            weight.requires_grad_(value)


@contextmanager
def without_noise(model: nn.Module) -> Iterator[nn.Module]:
    """The model, with nothing dropped, while open."""
    training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(training)
