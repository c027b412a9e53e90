"""What a card cannot hold, kept in main memory: the optimiser's state (`optimiser.Optimiser`), or what waits for the
backward pass.
"""

from __future__ import annotations

import contextlib
from typing import Any, Literal

import torch

from tunewright.base.errors import RecipeError

Offload = Literal["none", "optimiser", "activations"]


def check_offload(offload: Offload, device: torch.device) -> None:
    """Raises a `RecipeError` where there is nothing to off-load from: the model is in main memory itself."""
    if offload != "none" and device.type == "cpu":
        raise RecipeError(
            f"This training runs on the processor, whose memory is where '{offload}' would be off-loaded to",
            where="train.offload",
            hint="Set it to none; train.checkpointing: layers and a smaller train.node_budget need less memory.",
        )


def kept_aside(offload: Offload) -> contextlib.AbstractContextManager[Any]:
    """While open, what a forward pass keeps for the backward pass is kept in main memory, if that is asked for."""
    if offload != "activations":
        return contextlib.nullcontext()
    return torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available())
