"""How each method treats a model, as far as memory goes: what trains, what is held, what waits for a backward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tunewright.base.plugins import METHODS, PluginConfig

if TYPE_CHECKING:
    from tunewright.models.memory import ModelSize

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# A number of 4-bit NormalFloat: itself, an 8-bit scale for 64 of them, and a 32-bit one for 256 scales.
_NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
OWN_WEIGHTS = ("full", "layers")  # these methods train the base itself
_QUANTISED = ("qlora",)
_FUSED = ("lora", "rslora")  # `methods/_lora_linear.py`
VIRTUAL = ("prompt", "prefix", "ptuning")
_CASTING = ("molora", "bottleneck")  # they compute in the base's dtype


@dataclass(frozen=True, slots=True)
class Treatment:
    """How a method treats a model, as far as memory goes.

    Args:
        trained: Weights that are trained.
        trained_bytes: Bytes of one of them as the optimiser moves it (a float32 master, where it is narrower), of its
            gradient, and of a number that the optimiser keeps for it.
        base_bytes: Bytes of the base's weights as they are held.
        is_own: Whether the trained weights are the base's, and not beside it.
        inputs: Which inputs of linear layers wait for the backward pass: each tensor once ("shared"); a float32 copy
            for each layer, where its adapter computes in float32 and the base does not ("cast"); a dropped copy and its
            mask for each layer, in float32 too ("dropped"); none, where no linear layer is trained ("none").
        rank: Inner width of each linear layer's adapter.
        layers: Blocks that the backward pass reaches.
        adds_apart: Whether an adapter's product is scaled and added in steps of its own.
        widened: Numbers of the largest weight that is widened where it is used; 0 where none is.
        beside: Bytes that what the method adds keeps of each node in each block, beyond narrow products of this rank.
        cast_bytes: Bytes of weights' copies in another dtype that wait for the backward pass.
        virtual: Virtual tokens in front of every path.
        trains_head: Whether the output layer trains.
    """

    trained: int
    trained_bytes: int
    base_bytes: int
    is_own: bool
    inputs: Literal["shared", "cast", "dropped", "none"]
    rank: int
    layers: int
    adds_apart: bool = False
    widened: int = 0
    beside: int = 0
    cast_bytes: int = 0
    virtual: int = 0
    trains_head: bool = False


def treat(size: ModelSize, method: PluginConfig, dtype: str) -> Treatment:
    """How a method treats a model of this size, held in this dtype."""
    name, number = method.plugin, BYTES[dtype]
    settings = method.model_dump()
    is_own, rank = name in OWN_WEIGHTS, int(settings.get("rank", 0))
    base_bytes, widened = size.parameters * number, 0
    if name == "dora":  # each layer's update as a whole matrix, made by way of a unit matrix
        widened = size.intermediate * (size.intermediate + size.hidden)
    if name in _QUANTISED:
        bits = _NF4_BITS if settings["bits"] == 4 else 8
        base_bytes = round((size.parameters - size.linear_parameters) * number + size.linear_parameters * bits / 8)
        widened = size.hidden * max(size.intermediate, size.query_width)
    inputs: Literal["shared", "cast", "dropped", "none"] = "shared"
    if name in (*VIRTUAL, "ia3", "bottleneck", "molora"):  # the last three: `_beside`
        inputs = "none"
    elif not is_own and settings.get("dropout"):
        inputs = "dropped"
    elif not is_own and number != BYTES["float32"] and name not in _FUSED:
        inputs = "cast"  # PEFT keeps adapters in float32, and widens what they read
    only_last = name == "layers" and not settings["names"]
    trained = METHODS.call(name, "trainable", size, method)
    return Treatment(
        trained=trained,
        trained_bytes=BYTES["float32"],
        base_bytes=base_bytes,
        is_own=is_own,
        inputs=inputs,
        rank=rank,
        layers=min(size.layers, settings["last"]) if only_last else size.layers,
        adds_apart=name == "bottleneck" or (rank > 0 and (inputs != "shared" or name not in _FUSED)),
        widened=widened,
        beside=_beside(size, name, settings, number),
        cast_bytes=_cast_bytes(size, name, settings, trained, number),
        virtual=virtual_tokens(method),
        trains_head=is_own and not only_last,
    )


def virtual_tokens(method: PluginConfig) -> int:
    """How many virtual tokens a method puts in front of every path; they are nodes of every piece."""
    return int(method.model_dump()["tokens"]) if method.plugin in VIRTUAL else 0


def _cast_bytes(size: ModelSize, name: str, settings: Mapping[str, Any], trained: int, number: int) -> int:
    """Weights' copies in another dtype that wait for the backward pass, in bytes."""
    if number == BYTES["float32"]:
        return 0
    if name == "dora" and settings["dropout"]:  # PEFT computes the frozen product of dropped inputs anew, in float32
        return size.linear_parameters * BYTES["float32"]
    return trained * number if name in _CASTING or (name in _FUSED and not settings["dropout"]) else 0


def _beside(size: ModelSize, name: str, settings: Mapping[str, Any], number: int) -> int:
    """What a method's own parts keep of each node in each block, in bytes, beyond one narrow product a linear layer."""
    float32, linears = BYTES["float32"], size.linears // size.layers
    if name == "dora":  # the layer's result and the update's, which the trained lengths scale
        outputs = (size.linear_widths - size.linear_inputs) // size.layers
        return outputs * (float32 + (float32 if settings["dropout"] else number))
    if name == "ia3":  # what it scales: keys, values, and what the feed-forward part's last projection reads
        return 2 * size.key_width * number + size.intermediate * float32
    if name == "bottleneck":  # what it reads; its narrow product, bent; and which of it is dropped
        narrow: int = settings["width"] * (2 + bool(settings["dropout"]))
        return 2 * (size.hidden + narrow) * number
    if name == "molora":  # all experts' narrow products, before and behind their gates; and the gates
        experts, rank = int(settings["experts"]), int(settings["rank"])
        gates = experts * (float32 + number)
        whole = size.linear_inputs // size.layers  # each layer's own copy of its input
        inputs = whole * 2 * number if settings["dropout"] else 0
        inputs += whole * float32 if number != float32 else 0  # what the router reads
        if not settings["dropout"] or number == float32:
            inputs += (2 * size.hidden + size.query_width + size.intermediate) * number
        return linears * (2 * experts * rank * number + gates - rank * float32) + inputs
    return 0
