"""The last step from hidden states to logits, with what some models do to the logits behind their output layer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

# transformers' names, in a model's configuration, of a factor on its logits, of a divisor, and of a soft cap.
_FACTORS, _DIVISORS = ("logit_scale", "lm_head_multiplier"), ("logits_scaling",)
_CAPS = ("final_logit_softcapping", "logits_soft_cap")


def finished(layer: nn.Module, config: Any) -> nn.Module:
    """An output layer with what its model does to the logits behind it; the layer itself where that is nothing.

    Args:
        layer: Maps (M, D) to (M, V).
        config: The model's.
    """
    scale = math.prod([*_numbers(config, _FACTORS), *(1.0 / value for value in _numbers(config, _DIVISORS))])
    caps = _numbers(config, _CAPS)
    return FinishedHead(layer, scale, caps[0] if caps else None) if caps or scale != 1.0 else layer


class FinishedHead(nn.Module):
    """Logits times a scale, then `cap * tanh(logits / cap)`, as Cohere, Granite and Gemma have them."""

    def __init__(self, layer: nn.Module, scale: float, cap: float | None) -> None:
        super().__init__()
        self.layer, self._scale, self._cap = layer, scale, cap

    def forward(self, hidden_MD: Tensor) -> Tensor:
        logits_MV: Tensor = self.layer(hidden_MD)
        if self._scale != 1.0:
            logits_MV = logits_MV * self._scale
        return logits_MV if self._cap is None else self._cap * torch.tanh(logits_MV / self._cap)


def _numbers(config: Any, names: tuple[str, ...]) -> list[float]:
    found = (getattr(config, name, None) for name in names)
    return [float(value) for value in found if value is not None]
