"""(IA)³: infused adapter by inhibiting and amplifying inner activations (Liu et al. 2022, arXiv:2205.05638), by PEFT.

Keys, values and the feed-forward's inner activations are multiplied by trained vectors, which begin as ones. The
fewest weights of all methods: some ten thousand in a model of a hundred million.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig
from tunewright.models.methods._peft import chosen_layers, ends, linear_shapes, task_type, wrap

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

# The paper's; its vectors are few and begin as ones, so they take larger steps than matrices do.
LEARNING_RATE = 3e-3

# Names of the layers that make keys and values, and of the one that leaves the feed-forward's inside.
_FAMILIES = (
    (("k_proj", "v_proj"), ("down_proj",)),  # Llama, SmolLM, Qwen, Mistral, Gemma
    (("k_proj", "v_proj"), ("fc2",)),  # OPT, Phi, BART
    (("k_proj", "v_proj"), ("fc_out",)),  # GPT-J
    (("query_key_value",), ("dense_4h_to_h",)),  # GPT-NeoX, Falcon, BLOOM
    (("key", "value"), ("output.dense",)),  # BERT, RoBERTa
    (("k", "v"), ("wo",)),  # T5
)


class Config(PluginConfig):
    """Settings of (IA)³."""

    name: Literal["ia3"] = "ia3"
    targets: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="Layers whose results are scaled: keys and values, or a list of name endings."
    )
    feedforward: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="Layers whose inputs are scaled: those that leave the feed-forward, or name endings."
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Config:
        if (self.targets == "auto") != (self.feedforward == "auto"):
            raise ValueError("targets and feedforward are both 'auto' or both lists (a list may be empty)")
        if not self.targets and not self.feedforward:
            raise ValueError("targets and feedforward are both empty: nothing would train")
        return self


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Wraps a frozen base with vectors of ones, the only part that trains. Nothing in it is random.

    Raises:
        ModelError: If a target matches no layer, or `auto` does not know the model's names.
    """
    from peft import IA3Config

    linear = chosen_layers(model, "all-linear")
    results, inputs = _layers(config, linear)
    chosen_layers(model, (*results, *inputs))  # each of them matches
    settings = IA3Config(
        target_modules=[*results, *inputs], feedforward_modules=list(inputs), task_type=task_type(model)
    )
    return wrap(model, settings, seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; of a size without tensors, two hidden widths and the feed-forward's a block."""
    if not size.tensors:
        return size.layers * (2 * size.hidden + size.intermediate)
    results, inputs = _layers(config, (name.removesuffix(".weight") for name, _ in size.tensors))
    scaled = sum(width for width, _ in linear_shapes(size, results))
    return scaled + sum(width for _, width in linear_shapes(size, inputs))


def _layers(config: Config, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Endings of the layers whose results, and of those whose inputs are scaled."""
    if config.targets != "auto" and config.feedforward != "auto":
        return config.targets, config.feedforward
    known = list(names)
    for results, inputs in _FAMILIES:
        if all(any(ends(name, ending) for name in known) for ending in (*results, *inputs)):
            return results, inputs
    raise ModelError(
        "It is not known which layers of this model make keys, values and the feed-forward's inside",
        where="method.targets",
        hint="List them in method.targets (keys and values) and method.feedforward.",
    )
