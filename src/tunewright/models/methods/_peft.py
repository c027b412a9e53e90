"""What the methods that PEFT has share: which layers are meant, whether the settings fit them, and PEFT's own call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.errors import ModelError, did_you_mean
from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import quiet

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize

Targets = Literal["all-linear"] | tuple[str, ...]
# T5's table of relative positions is no linear layer.
_BLOCK = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block)\.\d+\.(?!.*relative_attention_bias)")

# State-space kernels take the weights of these layers as they are, past any adapter; PEFT refuses some of them.
_STATE_SPACES = ("mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h")
_BARE = ("x_proj", "dt_proj", "out_proj")


class LowRank(PluginConfig):
    """Settings of LoRA and its kin."""

    name: str
    rank: int = Field(16, ge=1, description="Inner width of the update.")
    alpha: int | None = Field(None, ge=1, description="Scale of the update, over the rank. Empty: twice the rank.")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Share of the layer's inputs dropped in training.")
    targets: Targets = Field(
        "all-linear", description="Which layers: all linear ones but the head, or a list of name endings."
    )

    @property
    def scale(self) -> int:
        """The alpha that PEFT is given."""
        return 2 * self.rank if self.alpha is None else self.alpha


def low_rank_settings(model: nn.Module, config: LowRank, **options: Any) -> Any:
    """PEFT's settings for LoRA or a variant of it, once it is known that they fit the model.

    Args:
        options: What makes the variant, in PEFT's words: `use_rslora`, `use_dora`.
    Raises:
        ModelError: If a target matches no linear layer, or if the rank is above the width of one.
    """
    from peft import LoraConfig

    layers = chosen_layers(model, config.targets, transposed=True)
    check_rank(layers, config.rank)
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.scale,
        lora_dropout=config.dropout,
        target_modules=endings(layers) if config.targets == "all-linear" else list(config.targets),
        bias="none",
        fan_in_fan_out=all(is_transposed(layer) for layer in layers.values()),
        task_type=task_type(model),
        **options,
    )


def task_type(model: Any) -> str:
    """PEFT's word for what a model does."""
    if model.config.is_encoder_decoder:
        return "SEQ_2_SEQ_LM"
    return "CAUSAL_LM" if hasattr(model, "prepare_inputs_for_generation") else "FEATURE_EXTRACTION"


def wrap(model: nn.Module, settings: Any, seed: int) -> Any:
    """The model inside PEFT's wrapper, with a fresh adapter whose random part follows the seed.

    Raises:
        ModelError: If PEFT refuses the settings.
    """
    import torch
    from peft import get_peft_model

    try:
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            return get_peft_model(model, settings)
    except ValueError as error:
        raise ModelError(f"This method could not be put on this model ({error})", where="method") from error


def fused(settings: Any) -> Any:
    """PEFT's settings, so that its linear layers become ours; files on disk do not change."""
    from torch import nn

    from tunewright.models.methods._lora_linear import LoraLinear

    settings._register_custom_module({nn.Linear: LoraLinear})
    return settings


def chosen_layers(model: Any, targets: Targets, *, transposed: bool = False) -> dict[str, Any]:
    """The linear layers that are meant, by their full names.

    Args:
        transposed: Whether GPT-2's kind counts too, whose weights are stored inputs by outputs (`Conv1D`).
        targets: `all-linear` for all but the head, or endings of names. An ending matches whole parts of a name, as
            in PEFT: `proj` does not match `q_proj`.
    Raises:
        ModelError: If a target matches no linear layer.
    """
    linear = _linear(model, transposed=transposed)
    if targets == "all-linear":
        head = model.get_output_embeddings()
        bare = _BARE if model.config.model_type in _STATE_SPACES else ()
        found = {name: x for name, x in linear.items() if x is not head and name.rpartition(".")[2] not in bare}
        if not found:
            other = "" if transposed or not _linear(model, transposed=True) else " of the kind that this method adapts"
            raise ModelError(
                f"{type(model).__name__} has no linear layers{other}",
                where="method.targets",
                hint="Use the method lora." if other else "Use the method full.",
            )
        return found
    for target in targets:
        if not any(ends(name, target) for name in linear):
            known = endings(linear)
            raise ModelError(
                f"'{target}' matches no linear layer of this model",
                where="method.targets",
                hint=f"{did_you_mean(target, known)}Its linear layers: {', '.join(known)}.",
            )
    return {name: layer for name, layer in linear.items() if any(ends(name, target) for target in targets)}


def check_rank(layers: dict[str, Any], rank: int) -> None:
    """Refuses a rank that a layer cannot hold: beyond its smaller side an update only takes memory.

    Raises:
        ModelError: If the rank is above the width of a layer; names the narrowest.
    """
    narrowest = min(layers, key=lambda name: min(layers[name].weight.shape))
    outputs, inputs = layers[narrowest].weight.shape
    if is_transposed(layers[narrowest]):
        outputs, inputs = inputs, outputs
    if rank > min(inputs, outputs):
        raise ModelError(
            f"A rank of {rank} is above the width of {narrowest}, which has {inputs} inputs and {outputs} outputs",
            where="method.rank",
            hint=f"Use {min(inputs, outputs)} or less, or leave this layer out of method.targets.",
        )


def is_transposed(layer: nn.Module) -> bool:
    """Whether a linear layer's weights are stored inputs by outputs, as GPT-2's are."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D)


def linear_layers(model: Any) -> list[str]:
    """The last parts of the names of all linear layers but the head, sorted."""
    return endings(chosen_layers(model, "all-linear"))


def endings(names: Any) -> list[str]:
    """The last parts of dotted names, each once, sorted."""
    return sorted({name.rpartition(".")[2] for name in names})


def ends(name: str, ending: str) -> bool:
    """Whether a dotted name ends so, in whole parts."""
    return f".{name}".endswith(f".{ending}")


def linear_shapes(size: ModelSize, targets: Targets) -> list[tuple[int, int]]:
    """Outputs and inputs of each linear layer that is meant, from the names in the model's files."""
    layers = [(name.removesuffix(".weight"), shape) for name, shape in size.tensors if len(shape) == 2]
    return [
        (shape[1], shape[0]) if size.transposed else (shape[0], shape[1])
        for name, shape in layers
        if (_BLOCK.search(name) if targets == "all-linear" else any(ends(name, target) for target in targets))
    ]


def low_rank_parameters(size: ModelSize, config: LowRank) -> int:
    """How many weights LoRA trains; of a size without tensors and with chosen targets, at most so many."""
    if config.targets == "all-linear" or not size.tensors:
        return size.lora_parameters(config.rank)
    return sum(config.rank * (outputs + inputs) for outputs, inputs in linear_shapes(size, config.targets))


def is_quantised(model: Any) -> bool:
    """Whether a model's linear layers are bitsandbytes'."""
    return bool(getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False))


def _linear(model: Any, *, transposed: bool) -> dict[str, nn.Module]:
    from torch import nn

    modules = model.named_modules()
    return {
        name: module
        for name, module in modules
        if isinstance(module, nn.Linear) or (transposed and is_transposed(module))
    }
