"""Heads of classes: what a model has beside its own, to name a label or a tag.

A head is a linear layer over the model's final state of one token. It is no part of any method's adapter: it trains
with each of them, is kept beside the adapter as `heads.safetensors`, and its classes stand in the adapter's
`tunewright.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from tunewright.base.errors import ModelError

FILE = "heads.safetensors"
PLACE = "class_heads"  # what the transformers model calls its heads
_SPREAD = 0.02  # standard deviation of fresh weights, as BERT's (arXiv:1810.04805, Appendix A.2 of its code)


class ClassHead(nn.Linear):
    """Logits of classes, in float32 whatever the states are kept in.

    Args:
        width: Numbers of a state.
        classes: What it tells apart, in the order of its outputs.
        pooler: BERT's dense layer and tanh between the state and the linear layer, where there is one.
    """

    def __init__(self, width: int, classes: Sequence[str], pooler: nn.Linear | None = None) -> None:
        super().__init__(width, len(classes), dtype=torch.float32)
        self.classes = tuple(classes)
        self.pooler = pooler

    def forward(self, hidden: Tensor) -> Tensor:
        """States, shape (..., D), to logits, shape (..., classes)."""
        state = hidden.to(self.weight.dtype)
        if self.pooler is not None:
            state = torch.tanh(self.pooler(state))
        return functional.linear(state, self.weight, self.bias)


def attach(model: Any, name: str, classes: Sequence[str], *, seed: int, pooler: nn.Linear | None = None) -> ClassHead:
    """Puts a fresh head on a model, which trains; drawn with the seed.

    Args:
        model: A transformers model, or an adapter's wrapper around one.
        name: `label` (one state a row) or `tag` (one state a word).
        classes: What is told apart.
        pooler: The one that the base was trained with; a head of labels begins with a copy of it.
    Raises:
        ModelError: If there are fewer than two classes.
    """
    if len(classes) < 2:
        raise ModelError(
            f"A head needs two classes or more, and there are {len(classes)}",
            where="train.objective",
            hint="Bring rows with different labels.",
        )
    base = _base(model)
    own = pooler if name == "label" else None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = _made(base, classes, has_pooler=own is not None)
        nn.init.normal_(head.weight, std=_SPREAD)
        nn.init.zeros_(head.bias)
    if own is not None and head.pooler is not None:
        head.pooler.load_state_dict({key: value.float() for key, value in own.state_dict().items()})
    _put(base, name, head)
    return head


def provide(model: Any, name: str, classes: Sequence[str], *, seed: int, pooler: nn.Linear | None = None) -> ClassHead:
    """The head that a model has already, or else a fresh one, as `attach` makes it.

    Raises:
        ModelError: If the one that it has tells other classes apart, or there are fewer than two.
    """
    if name not in names_of(model):
        return attach(model, name, classes, seed=seed, pooler=pooler)
    head = find(model, name)
    if head.classes != tuple(classes):
        new = sorted({*classes} - {*head.classes})
        raise ModelError(
            f"The adapter tells {len(head.classes)} classes apart, and the rows have {len(classes)}"
            + (f" ({', '.join(new[:3])}{', …' if len(new) > 3 else ''} not among the adapter's)" if new else ""),
            where="adapter",
            hint="Begin with a fresh adapter: take `adapter` out of the recipe.",
        )
    return head


def find(model: Any, name: str) -> ClassHead:
    """A model's head of that name.

    Raises:
        ModelError: If it has none.
    """
    heads = getattr(_base(model), PLACE, {})
    if name not in heads:
        raise ModelError(
            f"The model has no head '{name}'", where="base", hint="Load an adapter that was trained with one."
        )
    head: ClassHead = heads[name]
    return head


def names_of(model: Any) -> tuple[str, ...]:
    """The names of a model's heads, sorted; most models have none."""
    return tuple(sorted(getattr(_base(model), PLACE, {})))


def is_of_head(weight_name: str) -> bool:
    """Whether a weight with this full name belongs to a head of classes."""
    return f".{PLACE}." in f".{weight_name}"


def save(model: Any, folder: Path) -> dict[str, list[str]]:
    """Writes all heads; gives their classes by name. Writes nothing where there are none."""
    found = {name: find(model, name) for name in names_of(model)}
    weights = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, head in found.items()
        for key, value in head.state_dict().items()
    }
    if weights:
        save_file(weights, folder / FILE, metadata={"format": "pt"})
    return {name: list(head.classes) for name, head in found.items()}


def load(model: Any, folder: Path, classes: Mapping[str, Sequence[str]]) -> None:
    """Puts saved heads on a model; nothing of them trains.

    Args:
        classes: Each head's, by name; empty where the adapter has no heads.
    Raises:
        ModelError: If the file is missing or damaged, or does not fit the model and the classes.
    """
    if not classes:
        return
    file = folder / FILE
    try:
        saved = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The heads of classes cannot be read ({error})", where=str(file)) from error
    base = _base(model)
    for name, names in classes.items():
        own = {key.removeprefix(f"{name}."): value for key, value in saved.items() if key.startswith(f"{name}.")}
        head = _made(base, names, has_pooler="pooler.weight" in own)
        try:
            head.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ModelError(f"The head '{name}' does not fit this model: {reason}", where=str(file)) from error
        _put(base, name, head.requires_grad_(False).eval())


def _made(base: Any, classes: Sequence[str], *, has_pooler: bool) -> ClassHead:
    width = int(base.config.get_text_config().hidden_size)
    return ClassHead(width, classes, nn.Linear(width, width, dtype=torch.float32) if has_pooler else None)


def _put(base: Any, name: str, head: ClassHead) -> None:
    if not hasattr(base, PLACE):
        base.add_module(PLACE, nn.ModuleDict())
    getattr(base, PLACE)[name] = head.to(next(base.parameters()).device)


def _base(model: Any) -> Any:
    """The transformers model inside an adapter's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
