"""Bottleneck adapters (Houlsby et al. 2019, arXiv:1902.00751).

Two a layer: behind the attention's output projection and behind the feed-forward part, each added to what it reads
before the layer's own residual sum. The base stays frozen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig
from tunewright.models.methods._peft import ends

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize
    from tunewright.models.methods._bottleneck_layer import BottleneckLinear

# As LoRA's, whose kind it is: a fresh narrow pair of matrices that begins at zero.
LEARNING_RATE = 1e-3

# Where layers stand in a model's backbone, and where one computes its two results.
_PLACES = (
    ("layers", ("self_attn.o_proj", "mlp.down_proj")),  # Llama, Qwen, Mistral and their like
    ("encoder.layer", ("attention.output.dense", "output.dense")),  # BERT, RoBERTa
    ("transformer.layer", ("attention.out_lin", "ffn.lin2")),  # DistilBERT
    ("layers", ("attn.Wo", "mlp.Wo")),  # ModernBERT
)
_PLACES_A_LAYER = 2
_STACK = re.compile(r"(?:^|\.)(?:encoder|decoder)\.(?:block|layers)\.\d+\.")
# The same in both stacks of an encoder-decoder; its decoder's look at the source gets none, as in most Houlsby setups.
_ENDINGS = (("SelfAttention.o", "DenseReluDense.wo"), ("self_attn.out_proj", "fc2"))  # T5, BART


class Config(PluginConfig):
    """Settings of bottleneck adapters."""

    name: Literal["bottleneck"] = "bottleneck"
    width: int = Field(32, ge=1, description="Inner width of each bottleneck.")
    activation: Literal["gelu", "relu", "silu", "tanh"] = Field("gelu", description="What bends it inside.")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Share of the inner numbers dropped in training.")


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Puts two fresh bottlenecks into every layer, the only parts that train; the outputs are the base's at first.

    Raises:
        ModelError: If the model is not built like Llama or BERT, or is narrower than the bottlenecks.
    """
    from tunewright.models.methods._added import adapt
    from tunewright.models.methods._bottleneck_layer import BottleneckLinear

    places = _places(model)
    hidden = min(layer.out_features for layer in places.values())
    if config.width > hidden:
        raise ModelError(
            f"A bottleneck of width {config.width} is wider than the model, whose hidden states have {hidden} numbers",
            where="method.width",
            hint=f"Choose at most {hidden}; a tenth of it is usual.",
        )

    def make(layer: nn.Linear) -> BottleneckLinear:
        return BottleneckLinear(layer, width=config.width, activation=config.activation, dropout=config.dropout)

    return adapt(model, list(places), make, seed)


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains: down, up and their biases, twice a layer."""
    of_both_stacks = _in_both_stacks(name.removesuffix(".weight") for name, _ in size.tensors)
    places = len(of_both_stacks) or size.layers * _PLACES_A_LAYER
    return places * (2 * size.hidden * config.width + config.width + size.hidden)


def save(model: Any, folder: Path) -> None:
    """Writes the bottlenecks' weights as safetensors."""
    from tunewright.models.methods import _added

    _added.save(model, folder)


def load(base_model: Any, config: Config, folder: Path) -> Any:
    """Puts saved bottlenecks on a base model, which is changed in place; nothing of it trains.

    Raises:
        ModelError: If the file does not fit the model and the settings.
    """
    from tunewright.models.methods import _added

    return _added.load(attach(base_model, config, seed=0), folder)


def _places(model: Any) -> dict[str, nn.Linear]:
    """The linear layers behind which bottlenecks go, by full name, layer by layer.

    Raises:
        ModelError: If a layer has no such places.
    """
    from torch import nn

    everything = dict(model.named_modules())
    if model.config.is_encoder_decoder:
        of_both_stacks = _in_both_stacks(everything)
        if not of_both_stacks:
            raise _refused(model, f"its layers end in none of {', '.join(sum(_ENDINGS, ()))}")
        return {name: everything[name] for name in of_both_stacks}
    prefix = str(model.base_model_prefix)
    inside = f"{prefix}." if hasattr(model, prefix) else ""  # an encoder has nothing around it
    stacks = [(f"{inside}{stack}", places) for stack, places in _PLACES]
    there = [each for each in stacks if isinstance(everything.get(each[0]), nn.ModuleList) and len(everything[each[0]])]
    if not there:
        raise _refused(model, f"it has no list of layers at {' or '.join(dict.fromkeys(name for name, _ in stacks))}")
    stack, places = next((each for each in there if f"{each[0]}.0.{each[1][0]}" in everything), there[0])
    found: dict[str, nn.Linear] = {}
    for index in range(len(everything[stack])):
        for place in places:
            name = f"{stack}.{index}.{place}"
            module = everything.get(name)
            if not isinstance(module, nn.Linear):
                raise _refused(model, f"its layer {index} has no linear layer {place}")
            found[name] = module
    return found


def _in_both_stacks(names: Iterable[str]) -> list[str]:
    """The layers behind which bottlenecks go in an encoder-decoder, by their names; none in another model."""
    known = [name for name in names if _STACK.search(name)]
    each = ([name for name in known if any(ends(name, ending) for ending in endings)] for endings in _ENDINGS)
    return next((found for found in each if found), [])


def _refused(model: Any, reason: str) -> ModelError:
    return ModelError(
        f"Bottlenecks cannot be put into {type(model).__name__}: {reason}",
        where="method",
        hint="Use a model that is built like Llama, Qwen or Mistral, BERT, RoBERTa, T5 or BART, or method: lora.",
    )
