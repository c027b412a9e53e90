"""Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685), through PEFT.

Each chosen linear layer W gets an update B A scaled by alpha / rank; W stays frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import quiet

if TYPE_CHECKING:
    from torch import nn

    from tunewright.models.memory import ModelSize


class Config(PluginConfig):
    """Settings of LoRA."""

    name: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1, description="Inner width of the update.")
    alpha: int | None = Field(None, ge=1, description="Scale of the update, over the rank. Empty: twice the rank.")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Share of the layer's inputs dropped in training.")
    targets: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="Which layers: all linear ones but the head, or a list of name endings."
    )


def attach(model: nn.Module, config: Config, seed: int) -> Any:
    """Wraps a frozen base with a fresh adapter, the only part that trains. A is random by the seed, B is zero.

    Raises:
        ModelError: If the targets match no layer.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    targets = linear_layers(model) if config.targets == "all-linear" else list(config.targets)
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=2 * config.rank if config.alpha is None else config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            return get_peft_model(model, fused(settings))
    except ValueError as error:
        raise ModelError(
            f"LoRA could not be put on this model ({error})",
            where="method.targets",
            hint="Use 'all-linear', or endings of the names of its linear layers, such as q_proj.",
        ) from error


def trainable(size: ModelSize, config: Config) -> int:
    """How many weights it trains; with chosen targets, at most so many."""
    return size.lora_parameters(config.rank)


def fused(settings: Any) -> Any:
    """PEFT's settings, so that its linear layers become ours; files on disk do not change."""
    from torch import nn

    from tunewright.models.methods._lora_linear import LoraLinear

    settings._register_custom_module({nn.Linear: LoraLinear})
    return settings


def linear_layers(model: Any) -> list[str]:
    """The last parts of the names of all linear layers but the head, sorted."""
    from torch import nn

    head = model.get_output_embeddings()
    found = (name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head)
    return sorted({name.rpartition(".")[2] for name in found})
