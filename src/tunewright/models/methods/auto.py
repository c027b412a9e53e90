"""`method: auto`: chosen from the data's size, the free memory and the model, with the reason.

A run replaces it by what `choose` gives before anything is trained, and keeps the choice. Where a model alone is at
hand, and neither data nor memory is known, it is LoRA with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.models.methods import lora
from tunewright.models.methods._peft import linear_shapes

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

LEARNING_RATE = lora.LEARNING_RATE

# Below so many rows a smaller update is enough, and has less to remember them by.
_FEW_ROWS = 1000
_RANK_OF_FEW, _RANK, _HIGHEST_RANK = 8, 16, 128
# From here on LoRA's own scale holds back what a higher rank adds (Kalajdzievski 2023, arXiv:2312.03732).
_HIGHEST_PLAIN_RANK = 32
# A trained weight holds about two bits of knowledge (Allen-Zhu and Li 2024, arXiv:2404.05405), and a learned token
# brings about one ("LoRA Without Regret", 2025, which finds LoRA as good as full training up to that).
_BITS_A_WEIGHT, _BITS_A_TOKEN = 2, 1
_GIB = 1 << 30


class Config(PluginConfig):
    """It has no settings: they are chosen too."""

    name: Literal["auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Means:
    """What a run has to work with.

    Args:
        available: Free memory, in bytes.
        peak: Bytes that training takes at its peak, with a method's settings.
        quantises: Whether the base can be quantised here (bitsandbytes is installed).
    """

    available: int
    peak: Callable[[PluginConfig], int]
    quantises: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """A method, and why.

    Args:
        method: Its name.
        settings: Those of its settings that are not its defaults.
        reason: A sentence for people.
    """

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def config(self) -> PluginConfig:
        """The method's settings, whole."""
        return METHODS.config(self.method).model_validate({"name": self.method, **self.settings})

    def because(self, reason: str) -> Choice:
        """The same with its reason."""
        return replace(self, reason=reason)


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """LoRA with its defaults: what is chosen where nothing but the model is known."""
    return lora.attach(model, lora.Config(), seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights LoRA trains with its defaults."""
    return lora.trainable(size, lora.Config())


def choose(size: ModelSize, *, rows: int, learned: int, means: Means) -> Choice:
    """The method for a run: the first of these that applies.

    1. Full fine-tuning, if the data hold more than LoRA's highest rank can, and memory is enough.
    2. LoRA on all linear layers, if it fits; rank-stabilised above rank 32. The rank is 8 below 1,000 rows and 16 from
       there on, doubled until the update can hold the data, up to 128 or the width of the narrowest layer.
    3. QLoRA with the same rank: it fits where LoRA does not, or is the nearest to fitting.
    4. LoRA, where nothing can be quantised.

    What does not fit even so is refused by the check of the memory behind it, which says what would make it fit.

    Args:
        size: The model's.
        rows: Training rows.
        learned: Tokens in them that are learned, those of the answers.
        means: What the run has to work with.
    """
    rank, holds = _rank(size, rows, learned)
    adapter = Choice("rslora" if rank > _HIGHEST_PLAIN_RANK else "lora", {"rank": rank})
    data = f"{rows:,} rows with {learned:,} tokens to learn"
    full = Choice("full")
    if not holds and _fits(full, means):
        return full.because(f"{data} are more than an adapter of rank {rank} holds, and {_taken(full, means)}")
    if holds:
        count = METHODS.call(adapter.method, "trainable", size, adapter.config)
        why = f"{count:,} weights at rank {rank} can hold {data}"
    else:
        why = f"{data} ask for the highest rank there is, {rank}"
    if _fits(adapter, means):
        return adapter.because(f"{why}, and {_taken(adapter, means)}")
    if not means.quantises:
        return adapter.because(f"{why}; {_taken(adapter, means)}, and without bitsandbytes no base can be quantised")
    quantised = Choice("qlora", {"rank": rank})
    if _fits(quantised, means):
        whole = means.peak(adapter.config) / _GIB
        return quantised.because(f"{why}; on a base of four bits {_taken(quantised, means)} ({whole:.1f} GB as it is)")
    return quantised.because(f"{why}; it is the nearest to fitting: {_taken(quantised, means)}")


def _rank(size: ModelSize, rows: int, learned: int) -> tuple[int, bool]:
    """The smallest rank that can hold the data, and whether it does."""
    narrowest = min((side for shape in linear_shapes(size, "all-linear") for side in shape), default=size.hidden)
    highest = min(_HIGHEST_RANK, narrowest)
    rank = min(_RANK_OF_FEW if rows < _FEW_ROWS else _RANK, highest)

    def holds(rank: int) -> bool:
        return size.lora_parameters(rank) * _BITS_A_WEIGHT >= learned * _BITS_A_TOKEN

    while not holds(rank) and rank < highest:
        rank = min(2 * rank, highest)
    return rank, holds(rank)


def _fits(choice: Choice, means: Means) -> bool:
    return means.peak(choice.config) <= means.available


def _taken(choice: Choice, means: Means) -> str:
    return f"training takes about {means.peak(choice.config) / _GIB:.1f} GB of {means.available / _GIB:.1f} GB free"
