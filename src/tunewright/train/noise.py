"""NEFTune (Jain et al. 2023, arXiv:2310.05914): uniform noise on the embeddings, against learning rows by heart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.base.errors import ModelError, RecipeError
from tunewright.forest import Forest
from tunewright.forest.seq2seq import is_encoder_decoder


@contextmanager
def noisy_embeddings(model: Any, forest: Forest, *, alpha: float, seed: int) -> Iterator[None]:
    """While open, a forward pass over the forest reads embeddings with noise on them.

    Each number of a node's embedding gets noise between plus and minus alpha / sqrt(length * width). It is drawn once
    for each node, so that rows which share one read the same; the length is that of the longest row through it.

    Args:
        alpha: Strength of the noise; 0: none.
        seed: What it is drawn with. Nothing else is drawn from, so that a resumed run draws the same.
    Raises:
        ModelError: In the forward pass, if the model looks up its embeddings in another way than node by node.
    """
    if not alpha:
        yield
        return
    length_N = torch.from_numpy(longest_rows(forest))
    generator = torch.Generator().manual_seed(seed)

    def add_noise(module: Any, inputs: Any, output: Tensor) -> Tensor:
        width = output.shape[-1]
        if output.numel() != forest.nodes * width:
            raise ModelError(
                f"The model looks up {output.numel() // width} embeddings for {forest.nodes} nodes",
                where="train.neftune_alpha",
                hint="Set it to 0 for this model and method.",
            )
        noise_ND = torch.rand(forest.nodes, width, generator=generator) * 2 - 1
        noise_ND *= (alpha / torch.sqrt(length_N * width))[:, None]
        return output + noise_ND.to(output).view_as(output)

    handle = model.get_input_embeddings().register_forward_hook(add_noise)
    try:
        yield
    finally:
        handle.remove()


def check_noise(model: Any, alpha: float) -> None:
    """Refuses noise for a model that looks up its embeddings in two places, before a run has begun.

    Raises:
        RecipeError: If there is to be noise, and the model is an encoder-decoder.
    """
    if alpha and is_encoder_decoder(model):
        raise RecipeError(
            "An encoder-decoder looks up embeddings for source and answer apart, and noise is drawn node by node",
            where="train.neftune_alpha",
            hint="Set it to 0, or use a causal language model as the base.",
        )


def longest_rows(forest: Forest) -> NDArray[np.int64]:
    """For each node, how many nodes the longest path through it has, shape (N,)."""
    longest = forest.depth + 1
    for node in range(forest.nodes - 1, -1, -1):  # preorder: all that is below a node stands behind it
        parent = forest.parent[node]
        if parent >= 0:
            longest[parent] = max(longest[parent], longest[node])
    return longest
