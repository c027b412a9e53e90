"""LoRA on a quantised base (QLoRA; Dettmers et al. 2023, arXiv:2305.14314), through bitsandbytes and PEFT.

The base's linear layers are kept in 4 or 8 bits (the head is not: its errors would go straight into every answer), and
widened where they are used. On disk the adapter is plain LoRA; it was trained around the errors of a base quantised
so, and `load_adapter` puts it on one quantised alike.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.errors import MissingExtraError, ModelError
from tunewright.base.quiet import quiet
from tunewright.models.methods._peft import (
    LowRank,
    chosen_layers,
    is_quantised,
    low_rank_parameters,
    low_rank_settings,
    wrap,
)

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# As LoRA's.
LEARNING_RATE = 1e-3


class Config(LowRank):
    """Settings of QLoRA."""

    name: Literal["qlora"] = "qlora"
    bits: Literal[4, 8] = Field(
        4, description="4: NormalFloat in blocks of 64, their scales quantised again. 8: a scale for each output."
    )


@dataclass(frozen=True, slots=True)
class QuantisationGap:
    """What quantising costs before anything has learned.

    Args:
        full: The loss of the base as it came.
        quantised: The loss of the quantised base.
    """

    full: float
    quantised: float


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Quantises a frozen base in place and wraps it with a fresh adapter, the only part that trains.

    Raises:
        MissingExtraError: If bitsandbytes is not installed.
        ModelError: If a target matches no layer, or the rank is above the width of one.
    """
    settings = low_rank_settings(model, config)
    prepare(model, config)
    return wrap(model, settings, seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors and with chosen targets, at most so many."""
    return low_rank_parameters(size, config)


def prepare(model: Any, config: Config) -> None:
    """Quantises a base's linear layers in place, all but the head; one that is quantised so already is left as it is.

    Raises:
        MissingExtraError: If bitsandbytes is not installed.
        ModelError: If the base is quantised otherwise.
    """
    # PEFT looks for these names, which transformers gives to models that it has quantised itself.
    mark = f"is_loaded_in_{config.bits}bit"
    if getattr(model, mark, False):
        return
    if is_quantised(model):
        raise ModelError(
            f"This base is quantised, and not to {config.bits} bits", where="method.bits", hint="Load it anew."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", extra="quantise", needed_for="The method qlora")
    with quiet():
        from tunewright.models.methods._quantised_linear import quantised

    for name, layer in chosen_layers(model, "all-linear").items():
        model.set_submodule(name, quantised(layer, config.bits))
    setattr(model, mark, True)


def quantisation_gap(model: Any, config: Config, loss: Callable[[Any], float]) -> QuantisationGap:
    """Measures a base before and after it is quantised; it stays quantised, and `attach` takes it so.

    Args:
        model: A base model as it was loaded.
        loss: Gives a model's loss on the caller's examples; called twice.
    """
    full = loss(model)
    prepare(model, config)
    return QuantisationGap(full, loss(model))
