"""The base's own weights where they train: how they are kept on disk, and put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from tunewright.base.errors import ModelError
from tunewright.models.heads import is_of_head

# The name under which transformers looks for weights: with the base's config.json and tokenizer beside it, the file of
# a model that trained in full is that model.
FILE = "model.safetensors"


def save(model: nn.Module, folder: Path) -> None:
    """Writes the weights that train, heads of classes apart; tied ones once, under their first name.

    The same weights give the same bytes.
    """
    named = {name: w for name, w in model.named_parameters() if w.requires_grad and not is_of_head(name)}
    weights = {name: w.detach().cpu().contiguous() for name, w in named.items()}
    save_file(weights, folder / FILE, metadata={"format": "pt"})


@torch.no_grad()
def load(model: Any, folder: Path) -> Any:
    """Puts saved weights in place of the model's own, in its dtype; nothing of it trains.

    Raises:
        ModelError: If the file is missing or damaged, or names a weight that this model does not have, or not so large.
    """
    file = folder / FILE
    weights = dict(model.named_parameters(remove_duplicate=False))
    try:
        with safe_open(file, framework="pt") as saved:
            names = list(saved.keys())
            for name in names:
                if name not in weights:
                    raise _strange(file, f"it has no weight {name}")
                here, there = tuple(weights[name].shape), tuple(saved.get_slice(name).get_shape())
                if here != there:
                    raise _strange(file, f"its {name} has shape {here}, and the file's {there}")
            for name in names:
                weights[name].copy_(saved.get_tensor(name))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The trained weights cannot be read ({error})", where=str(file)) from error
    return model.requires_grad_(False)


def _strange(file: Path, difference: str) -> ModelError:
    return ModelError(
        f"These weights do not fit the model: {difference}",
        where=str(file),
        hint="Load them on the base that they were trained on.",
    )
