"""Saved LoRA adapters as bare matrices: what several of them on one base at once need, instead of PEFT's layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tunewright.base.errors import ModelError
from tunewright.base.files import read_json
from tunewright.base.quiet import quiet
from tunewright.models.adapters import MANIFEST, check_base
from tunewright.models.methods._peft import is_quantised, is_transposed

if TYPE_CHECKING:
    from tunewright.models.base import Base

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_DOWN, _UP, _LENGTHS = "lora_A.weight", "lora_B.weight", "lora_magnitude_vector"
# What a LoRA adapter's settings may say otherwise than by default: where it sits and how it is scaled, what only its
# training needed, and what names it.
_HARMLESS = {
    *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "fan_in_fan_out"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout"),
    *(
        "base_model_name_or_path",
        "revision",
        "task_type",
        "inference_mode",
        "auto_mapping",
        "peft_version",
        "peft_type",
    ),
    *("runtime_config", "megatron_core"),
}
_PLAIN_BEGINNINGS = (True, False, "gaussian", "orthogonal", "eva")


@dataclass(frozen=True, slots=True)
class Update:
    """What an adapter does to one linear layer: `lengths * (y - bias) + bias + (x @ down.T) @ up.T`.

    Args:
        down_RI: The first narrow matrix, R ranks by I inputs.
        up_OR: The second, O outputs by R, with all factors in it.
        lengths_O: What DoRA scales each of the base's outputs by; None for others.
    """

    down_RI: Tensor
    up_OR: Tensor
    lengths_O: Tensor | None = None

    @property
    def bytes(self) -> int:
        """Of its matrices."""
        return sum(x.nbytes for x in (self.down_RI, self.up_OR, self.lengths_O) if x is not None)


def why_not_low_rank(base: Base, folder: Path) -> str:
    """Why a saved adapter is more than low-rank updates of the base's linear layers; empty if it is no more.

    Raises:
        ModelError: If there is no adapter in the folder, or one of another base.
    """
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    check_base(base, folder, manifest)
    if not (folder / _CONFIG).exists():
        return "it is not kept as PEFT keeps LoRA"
    if not (folder / _WEIGHTS).exists():
        return f"it has no {_WEIGHTS}"
    if manifest.get("heads"):
        return "it has heads of classes"
    bits = manifest.get("method", {}).get("bits")
    if bits is not None and not getattr(base.model, f"is_loaded_in_{bits}bit", False):
        return f"it was trained on a base in {bits} bits"
    if bits is None and is_quantised(base.model):
        return "the base is quantised, and it was trained on one that is not"
    return _odd_settings(folder) or _odd_weights(base, folder)


def _odd_settings(folder: Path) -> str:
    settings, usual = _settings(folder), _defaults()
    if settings.get("peft_type") != "LORA":
        return f"its kind is {settings.get('peft_type')}, not LORA"
    if settings.get("init_lora_weights", True) not in _PLAIN_BEGINNINGS:
        return f"it began with {settings['init_lora_weights']}, which changes the base's weights"
    for name in sorted(settings.keys() - _HARMLESS - {"init_lora_weights"}):
        # Empty settings of variants stand for none, whether as null, false or an empty object.
        if settings[name] and settings[name] != usual.get(name):
            return f"it uses {name}"
    return ""


def _odd_weights(base: Base, folder: Path) -> str:
    from safetensors import SafetensorError, safe_open

    quantised, modules = is_quantised(base.model), dict(base.model.named_modules())
    own = dict(base.model.named_parameters(remove_duplicate=False))
    try:
        with safe_open(folder / _WEIGHTS, framework="pt") as saved:
            for name in sorted(saved.keys()):
                layer, part = _split(name)
                if not part:
                    # Beside an update of the head PEFT keeps the head itself, which changes nothing.
                    kept = own.get(name.removeprefix(_PREFIX).replace(".base_layer.", "."))
                    if kept is None or not torch.equal(saved.get_tensor(name).to(kept), kept):
                        return f"it has a weight {name}"
                elif layer not in modules:
                    raise ModelError(f"This adapter does not fit the base, which has no {layer}", where=str(folder))
                elif not (isinstance(modules[layer], nn.Linear) or is_transposed(modules[layer])):
                    return f"it changes {layer}, which is no linear layer"
                elif part == _LENGTHS and quantised:
                    return "it is DoRA on a quantised base"
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The adapter's weights cannot be read ({error})", where=str(folder / _WEIGHTS)) from error
    return ""


def read_low_rank(base: Base, folder: Path) -> dict[str, Update]:
    """An adapter's updates by the full names of the layers in the base's model, on its device.

    In float32, or in the base's dtype where that is wider: as PEFT computes them.

    Raises:
        ModelError: If the adapter is more than such updates, or does not fit the base.
    """
    from safetensors.torch import load_file

    if why := why_not_low_rank(base, folder):
        raise ModelError(f"This adapter cannot share a base with others: {why}", where=str(folder))
    settings = _settings(folder)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, weight in load_file(folder / _WEIGHTS).items():
        layer, part = _split(name)
        if part:
            parts.setdefault(layer, {})[part] = weight
    modules = dict(base.model.named_modules())
    return {
        layer: _update(modules[layer], parts[layer], _scale(settings, layer, parts[layer]), layer, folder)
        for layer in sorted(parts)
    }


@torch.no_grad()
def _update(module: Any, parts: Mapping[str, Tensor], scale: float, layer: str, folder: Path) -> Update:
    weight: Tensor = module.weight
    dtype = torch.promote_types(torch.float32, weight.dtype) if weight.dtype.is_floating_point else torch.float32
    if not parts.keys() >= {_DOWN, _UP}:
        raise ModelError(f"The adapter has only one half of its update of {layer}", where=str(folder))
    down_RI, up_OR = (parts[part].to(weight.device, dtype) for part in (_DOWN, _UP))
    inputs, outputs = _shape(module)
    if down_RI.shape[1] != inputs or up_OR.shape != (outputs, down_RI.shape[0]):
        raise ModelError(
            f"This adapter does not fit the base: its update of {layer} maps {down_RI.shape[1]} to {up_OR.shape[0]} "
            f"numbers, and the layer {inputs} to {outputs}",
            where=str(folder),
        )
    if _LENGTHS not in parts:
        return Update(down_RI, up_OR * scale)
    # Liu et al. 2024 (arXiv:2402.09353), equation 5: the sum of weights, each row at the length that was learned.
    weight_OI = (weight.T if is_transposed(module) else weight).to(dtype)
    length_O = torch.linalg.norm(torch.addmm(weight_OI, up_OR, down_RI, alpha=scale), dim=1)
    lengths_O = parts[_LENGTHS].to(weight.device, dtype) / length_O
    return Update(down_RI, lengths_O[:, None] * up_OR * scale, lengths_O)


def _scale(settings: Mapping[str, Any], layer: str, parts: Mapping[str, Tensor]) -> float:
    from peft.utils.other import get_pattern_key

    alphas = settings.get("alpha_pattern") or {}
    alpha = float(alphas.get(get_pattern_key(list(alphas), layer), settings["lora_alpha"]))
    rank = parts[_DOWN].shape[0] if _DOWN in parts else 1
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _shape(module: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear layer, quantised ones too, whose weights are packed."""
    if is_transposed(module):
        return int(module.weight.shape[0]), int(module.weight.shape[1])
    return int(module.in_features), int(module.out_features)


def _split(name: str) -> tuple[str, str]:
    """The layer that a weight belongs to, and which of its parts it is; empty for others."""
    for part in (_DOWN, _UP, _LENGTHS):
        if name.startswith(_PREFIX) and name.endswith(f".{part}"):
            return name[len(_PREFIX) : -len(part) - 1], part
    return "", ""


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = read_json(folder / _CONFIG)
    return settings


def _defaults() -> dict[str, Any]:
    with quiet():
        from peft import LoraConfig

        return asdict(LoraConfig())
