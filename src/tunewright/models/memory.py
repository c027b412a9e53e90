"""Whether the work fits in this machine's memory: a documented estimate, made before anything is loaded."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import psutil

from tunewright.base.errors import OutOfMemoryError
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.models import catalog
from tunewright.models.files import BaseFiles, read_config, tensor_shapes, weight_files

GIB = 1 << 30
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

# The interpreter with torch and transformers loaded, before any weights (measured: 0.45 to 0.6 GB).
PROCESS_BYTES = 600 << 20
# The output layer runs on so many positions at a time; its logits, their gradient and a copy are alive together.
HEAD_ROWS = 512
_HEAD_COPIES = 3
# AdamW keeps two float32 numbers a weight; the trained weights and their gradients are float32 as well.
_TRAINABLE_BYTES = 4 + 4 + 8
_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60
_SMALLEST_NODE_BUDGET = 64


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What decides how much memory a model takes.

    Args:
        parameters: All its weights, tied ones counted once.
        layers: Transformer blocks.
        hidden: Width of the hidden state.
        intermediate: Width inside the feed-forward part.
        vocabulary: Rows of the output layer.
        linear_widths: Inputs plus outputs, summed over all linear layers of all blocks.
        tensors: Name and shape of each weight, as its files have them; empty where there are no files.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    linear_widths: int
    tensors: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def lora_parameters(self, rank: int) -> int:
        """Trainable weights of LoRA on all linear layers: rank x (inputs + outputs) of each."""
        return rank * self.linear_widths


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that training takes at its peak, by cause."""

    weights: int
    trainable: int
    activations: int
    head: int
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.trainable + self.activations + self.head + self.process


def model_size(folder: Path) -> ModelSize:
    """Reads a model's size from its configuration and the headers of its weights; loads no weights.

    Raises:
        ModelError: If the folder holds no whole model.
    """
    config = read_config(folder)
    parameters = linear_widths = 0
    tensors: list[tuple[str, tuple[int, ...]]] = []
    for file in weight_files(folder):
        for name, (dtype, shape) in tensor_shapes(file).items():
            if not dtype.startswith(("F", "BF")):
                continue  # buffers such as position numbers
            parameters += math.prod(shape)
            tensors.append((name, shape))
            if len(shape) == 2 and re.search(r"\.(layers|h|blocks|layer)\.\d+\.", f".{name}"):
                linear_widths += sum(shape)
    hidden = _first(config, "hidden_size", "n_embd", "d_model")
    return ModelSize(
        parameters=parameters,
        layers=_first(config, "num_hidden_layers", "n_layer", "num_layers"),
        hidden=hidden,
        intermediate=_first(config, "intermediate_size", "n_inner", default=4 * hidden),
        vocabulary=_first(config, "vocab_size"),
        linear_widths=linear_widths,
        tensors=tuple(tensors),
    )


def estimate_training_bytes(size: ModelSize, *, trainable: int, nodes: int, dtype: str = "float32") -> Estimate:
    """Peak memory of training an adapter on a frozen base.

    With H the hidden width, I the feed-forward's and b bytes a number, one position keeps in each layer, for the
    backward pass: 6 H b around attention (the normalised input, query, key and value with heads repeated, the
    attention's result, the second normalised input), 4 I b in the feed-forward (gate, its activation, up, their
    product) and 8 H in float32 inside the two norms. Attention adds its mask, N x N numbers, twice. Trained weights
    cost 16 bytes each: themselves, the gradient, and AdamW's two moments.

    Args:
        trainable: Trained weights; 0 where the model is only run.
        nodes: Positions in one micro-batch (`train.node_budget`).
        dtype: Of the frozen weights and the activations.
    """
    number = BYTES[dtype]
    layer = (6 * size.hidden + 4 * size.intermediate) * number + 8 * size.hidden
    kept_layers = size.layers if trainable else 1  # without a backward pass only the current layer is alive
    return Estimate(
        weights=size.parameters * number,
        trainable=trainable * _TRAINABLE_BYTES,
        activations=nodes * layer * kept_layers + 2 * nodes * nodes * number,
        head=min(nodes, HEAD_ROWS) * size.vocabulary * 4 * _HEAD_COPIES,
    )


def check_memory(
    files: BaseFiles,
    *,
    method: PluginConfig | None = None,
    nodes: int = 0,
    dtype: str = "float32",
    available: int | None = None,
) -> Estimate:
    """Refuses work that cannot fit, before anything is loaded.

    Args:
        files: The base model.
        method: How it is to be trained; none where the model is only run.
        nodes: Positions in one micro-batch (`train.node_budget`).
        dtype: Of the frozen weights and the activations.
        available: Free bytes; none: this machine's.
    Raises:
        OutOfMemoryError: If the estimate is above what is available; says what would make it fit.
    """
    size = model_size(files.folder)
    trainable = 0 if method is None else METHODS.call(method.plugin, "trainable", size, method)
    estimate = estimate_training_bytes(size, trainable=trainable, nodes=nodes, dtype=dtype)
    free = available_bytes() if available is None else available
    if estimate.total > free:
        raise OutOfMemoryError(
            f"This takes about {estimate.total / GIB:.1f} GB ({estimate.weights / GIB:.1f} GB of it weights), "
            f"and {free / GIB:.1f} GB are free",
            where=f"{files.name} ({size.parameters:,} parameters, {dtype})",
            hint=_what_would_fit(size, trainable, nodes, dtype, free),
        )
    return estimate


def available_bytes() -> int:
    """Memory that this process may still take: the machine's, or its container's where that is less."""
    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(limit - used for limit, used in _cgroup_limits())]))


def _what_would_fit(size: ModelSize, trainable: int, nodes: int, dtype: str, free: int) -> str:
    def fits(nodes: int, dtype: str) -> bool:
        return estimate_training_bytes(size, trainable=trainable, nodes=nodes, dtype=dtype).total <= free

    ways: list[str] = []
    for choice in dict.fromkeys([dtype, "bfloat16"]):
        suffix = "" if choice == dtype else f" with train.dtype: {choice}"
        if choice != dtype and fits(nodes, choice):
            ways.append(f"train.dtype: {choice} (slow where the processor does not compute in it)")
            break
        budget = nodes
        while budget > _SMALLEST_NODE_BUDGET and not fits(budget, choice):
            budget //= 2
        if budget < nodes and fits(budget, choice):
            ways.append(f"train.node_budget: {budget}{suffix}")
            break
    smaller = [
        entry.name
        for entry in sorted(catalog.entries().values(), key=lambda entry: -entry.parameters)
        if entry.kind == "causal-lm"
        and entry.parameters < size.parameters
        and entry.parameters * BYTES[dtype] + PROCESS_BYTES < free
    ]
    ways += [f"a smaller base, such as {smaller[0]}" if smaller else "a smaller base", "more free memory"]
    return f"What would make it fit: {', or '.join(ways)}."


def _first(config: dict[str, Any], *keys: str, default: int = 0) -> int:
    return next((int(config[key]) for key in keys if config.get(key)), default)


def _cgroup_limits(root: Path = _CGROUP, membership: Path = Path("/proc/self/cgroup")) -> list[tuple[int, int]]:
    """Memory limits that hold for this process and what is used of each, in bytes: its group's and all above it."""
    limits: list[tuple[int, int]] = []
    groups = membership.read_text().split() if membership.exists() else []
    for line in groups:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            names, top = ("memory.max", "memory.current"), root
        elif "memory" in controllers.split(","):
            names, top = ("memory.limit_in_bytes", "memory.usage_in_bytes"), root / "memory"
        else:
            continue
        place = PurePosixPath(group)
        for folder in [top / str(level).lstrip("/") for level in (place, *place.parents)]:
            limit, used = (_number(folder / name) for name in names)
            if limit < _UNLIMITED:
                limits.append((limit, used - _reclaimable(folder)))
    return limits


def _number(file: Path) -> int:
    """A cgroup file's number; where there is none (`max`, or no such group here), one that limits nothing."""
    text = file.read_text().strip() if file.exists() else "max"
    return int(text) if text.isdigit() else _UNLIMITED


def _reclaimable(folder: Path) -> int:
    """File pages that the kernel gives back under pressure; they count as used, and are not."""
    stat = folder / "memory.stat"
    lines = stat.read_text().splitlines() if stat.exists() else []
    values = dict(line.split() for line in lines)
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))
