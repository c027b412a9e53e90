"""An adapter added into its base's weights while the model answers, and taken out again to the bit.

A layer with LoRA computes three products, two of them too narrow to keep a processor busy. Where many tokens are read
and written, one sum of weights in front of them is the cheaper way to the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_LARGEST_BYTES = 2 << 30  # of weights that are held a second time


@contextmanager
@torch.no_grad()
def folded(model: Any) -> Iterator[None]:
    """Plain LoRA layers compute one product while open, in float32 on a processor; all else stays as it is.

    The sum of weights is rounded once in float32, which moves log-probabilities by some 1e-6. Narrower dtypes would
    lose more, and a card has products to spare, so both are left alone. The weights from before are kept aside and put
    back.
    """
    from tunewright.models.methods._lora_linear import LoraLinear

    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, LoraLinear) and (layer.weight.dtype, layer.weight.device.type) == (torch.float32, "cpu")
    ]
    if sum(layer.weight.nbytes for layer in layers) > _LARGEST_BYTES:
        layers = []
    try:
        for layer in layers:
            layer.fold()
        yield
    finally:
        for layer in layers:
            layer.unfold()
