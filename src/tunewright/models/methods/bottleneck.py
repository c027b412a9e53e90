"""Bottleneck adapters (Houlsby et al. 2019, arXiv:1902.00751).

Two a layer: behind the attention's output projection and behind the feed-forward part, each added to what it reads
before the layer's own residual sum. The base stays frozen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize
    from tunewright.models.methods._bottleneck_layer import BottleneckLinear

# As LoRA's, whose kind it is: a fresh narrow pair of matrices that begins at zero.
LEARNING_RATE = 1e-3

# Where Llama, Qwen, Mistral and their like compute a layer's two results.
_PLACES = ("self_attn.o_proj", "mlp.down_proj")


class Config(PluginConfig):
    """Settings of bottleneck adapters."""

    name: Literal["bottleneck"] = "bottleneck"
    width: int = Field(32, ge=1, description="Inner width of each bottleneck.")
    activation: Literal["gelu", "relu", "silu", "tanh"] = Field("gelu", description="What bends it inside.")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Share of the inner numbers dropped in training.")


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Puts two fresh bottlenecks into every layer, the only parts that train; the outputs are the base's at first.

    Raises:
        ModelError: If the model is not built like Llama, or is narrower than the bottlenecks.
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
    return size.layers * len(_PLACES) * (2 * size.hidden * config.width + config.width + size.hidden)


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

    prefix = str(model.base_model_prefix)
    layers = getattr(getattr(model, prefix, None), "layers", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers):
        raise _refused(model, f"it has no list of layers at {prefix}.layers")
    found: dict[str, nn.Linear] = {}
    for index, layer in enumerate(layers):
        modules = dict(layer.named_modules())
        for place in _PLACES:
            module = modules.get(place)
            if not isinstance(module, nn.Linear):
                raise _refused(model, f"its layer {index} has no linear layer {place}")
            found[f"{prefix}.layers.{index}.{place}"] = module
    return found


def _refused(model: Any, reason: str) -> ModelError:
    return ModelError(
        f"Bottlenecks cannot be put into {type(model).__name__}: {reason}",
        where="method",
        hint="Use a model that is built like Llama, Qwen or Mistral, or method: lora.",
    )
