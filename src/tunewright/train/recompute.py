"""Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): blocks are computed again in the backward pass.

Of each block only what it reads is kept; the rest is computed again when its gradients are due. The layout reaches
attention as a keyword argument, and travels with the call that is repeated; random states are put back, so that what
was dropped is dropped again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch.utils.checkpoint import checkpoint

from tunewright.base.errors import ModelError
from tunewright.forest.layout import unwrap


def recompute_blocks(model: Any) -> int:
    """Makes a transformers model compute its blocks again in the backward pass of training; gives their number.

    In evaluation mode, and without gradients, they are computed once as before.

    Args:
        model: With or without an adapter; its blocks are switched in place.
    Raises:
        ModelError: If transformers has not made its blocks so that they can be computed again.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    blocks = [module for module in unwrap(model).modules() if isinstance(module, GradientCheckpointingLayer)]
    if not blocks:
        raise ModelError(
            f"The blocks of {type(unwrap(model)).__name__} cannot be computed again in the backward pass",
            where="train.checkpointing",
            hint="Set it to none, and make pieces smaller with train.node_budget.",
        )
    for block in blocks:
        # Not reentrant: gradients reach what a block is given by keyword, and weights of a block whose input has none.
        block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        block.gradient_checkpointing = True
    return len(blocks)
