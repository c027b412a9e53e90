"""Edge scores beside those of a reference: the same model with its adapter switched off.

Objectives that hold a model against where it started (DPO, and the divergence terms of reinforcement) need both on the
same edges. The forest is built once, and the reference costs a forward pass without gradients; no second model is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from tunewright.base.errors import ModelError
from tunewright.forest.edges import EdgeScores
from tunewright.forest.forest import Forest
from tunewright.forest.layout import unwrap
from tunewright.forest.score import DEFAULT_BACKEND, score


@torch.no_grad()
def reference_logp(model: nn.Module, forests: Iterable[Forest], backend: str = DEFAULT_BACKEND) -> list[Tensor]:
    """Log-probability of each forest's edges under the model with its adapter switched off, shapes (E,).

    Raises:
        ModelError: If the model has no adapter that can be switched off.
    """
    # All at once: to switch an adapter off and on again takes PEFT longer than it takes a small model to score.
    with adapter_off(model) as base:
        return [score(base, forest, backend).logp for forest in forests]


def score_with_reference(model: nn.Module, forest: Forest, backend: str = DEFAULT_BACKEND) -> EdgeScores:
    """Scores of a forest's edges under a model, `reference` among them; raises as `reference_logp` does."""
    # First the reference: what its pass takes is free again before the model's own activations are kept.
    (reference,) = reference_logp(model, [forest], backend)
    return replace(score(model, forest, backend), reference=reference)


@contextmanager
def adapter_off(model: nn.Module) -> Iterator[nn.Module]:
    """The model as it was before training, without noise, while open; afterwards all is as it was.

    Args:
        model: Has a context manager `disable_adapter()`, as PEFT's models have.
    Raises:
        ModelError: If the model cannot be switched off, or only in part.
    """
    switch = getattr(model, "disable_adapter", None)
    if switch is None:
        raise _not_switched_off("its own weights are trained")
    # PEFT freezes what it switches off, and trains all of it afterwards: also what the method had frozen.
    trained = {weight: weight.requires_grad for weight in model.parameters()}
    base: nn.Module = unwrap(model)
    training = model.training
    model.eval()
    try:
        with switch():
            left = [name for name, weight in base.named_parameters() if weight.requires_grad]
            if left:
                raise _not_switched_off(f"of the base's own weights, {len(left)} are trained, such as {left[0]}")
            yield base
    finally:
        model.train(training)
        for weight, value in trained.items():
            weight.requires_grad_(value)


def check_reference(model: nn.Module) -> None:
    """Raises a `ModelError` if a model has no adapter that can be switched off, so that it has no reference."""
    with adapter_off(model):
        pass


def _not_switched_off(why: str) -> ModelError:
    return ModelError(
        f"This objective compares the model with what it was before training, and that is not at hand: {why}",
        where="method",
        hint="Use a method whose adapter can be switched off, such as lora.",
    )
