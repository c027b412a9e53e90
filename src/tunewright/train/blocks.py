"""A model's repeated blocks, compiled: norms, projections with their adapters, gate and residuals in few passes.

Attention is left out of the graphs: it is the layout's, whose shapes follow the forest. What stands before and behind
it is one graph each, for any number of nodes, and serves all blocks that are built alike. Blocks are compiled where
gradients run through them; scoring without gradients, and a first block whose input needs none, compute as they are.

The graphs are made from a forest of one fixed size, since a compiler may look at the size that it first meets: a
resumed run gets the same code, and so the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewright.forest import Path, layout
from tunewright.forest.score import grow, run
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.recipe.schema import Recipe

COMPILER = "inductor"  # torch's name of what makes code of graphs
# Methods of which one block makes more graphs than a run could win back: 17 where LoRA's make 2.
_SCATTERED = ("dora",)
# Rows of the forest that is compiled for, and tokens of each that are fed. Neither a power of two nor a multiple of a
# vector's length, so that no graph is made for such sizes only.
_ROWS, _TOKENS = 7, 41
_IDS = 19  # small ids, which every vocabulary has


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compiling was.

    Args:
        blocks: Blocks that run compiled.
        of: Blocks there are.
        graphs: Graphs that were made, each with its backward pass.
        seconds: What it took, in seconds, with the first pass through them.
    """

    blocks: int
    of: int
    graphs: int
    seconds: float

    def __str__(self) -> str:
        return f"compiled {self.blocks} of {self.of} blocks in {self.seconds:.0f} s ({self.graphs} graphs)"


def unfit(model: Any, recipe: Recipe) -> str:
    """Why a model's blocks cannot be compiled under these settings; empty if they can.

    Args:
        model: Adopted, with its adapter.
        recipe: `method`, `train.offload` and `train.sharding` are read.
    """
    base, config = layout.unwrap(model), recipe.train
    kind = type(base).__name__
    if is_encoder_decoder(model):
        return f"{kind} is an encoder-decoder, whose attention is its own"
    if not layout.shares(model):
        return f"{kind} shares no prefixes here (backend '{layout.UNSHARED}'), and computes attention itself"
    blocks = find_blocks(model)
    if not blocks or any("forward" in vars(block) for block in blocks):
        return f"{kind} has no blocks that transformers marks as such, or something else has changed them"
    if recipe.method.plugin in _SCATTERED:
        return f"the layers of '{recipe.method.plugin}' fall into many small graphs"
    if getattr(model, "penalty", None) is not None:
        return "this method gathers the balance of its experts while blocks run"
    if config.draws:
        return "answers are drawn between steps, by blocks as they are"
    if config.sharding != "none":
        return f"train.sharding: {config.sharding} puts weights together around each block"
    if config.offload == "activations":
        return "train.offload: activations watches what each block keeps"
    return _no_compiler(base.device)


def find_blocks(model: Any) -> list[Any]:
    """A transformers model's repeated blocks, in order."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [module for module in layout.unwrap(model).modules() if isinstance(module, GradientCheckpointingLayer)]


def _no_compiler(device: torch.device) -> str:
    """Whether what torch compiles with is missing on this machine; empty if it is there."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return "" if has_triton() else "the package 'triton', which compiles for CUDA, is not installed"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "there is no C++ compiler on this machine (g++ or clang++, or the one that $CXX names)"
    return ""


class CompiledBlocks:
    """A model's blocks, each of which computes compiled while this is on, and as it is while it is off.

    Args:
        model: Adopted, with its adapter; for which `unfit` finds nothing.

    Attributes:
        on: Whether blocks compute compiled.
    """

    def __init__(self, model: Any) -> None:
        self.on = False
        self._model, self._blocks = model, find_blocks(model)
        self._met: set[int] = set()
        made: dict[Any, Callable[..., Any]] = {}
        for block in self._blocks:
            plain = _uncheckpointed(block)
            if plain not in made:
                made[plain] = _compile(plain)
            block.forward = partial(self._forward, block, block.forward, made[plain])

    def _forward(
        self, block: Any, as_is: Callable[..., Any], compiled: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """A block's forward pass, one way or the other."""
        states = args[0] if args else kwargs.get("hidden_states")
        if not (self.on and block.training and torch.is_grad_enabled() and _has_gradient(states)):
            return as_is(*args, **kwargs)
        self._met.add(id(block))
        if block.gradient_checkpointing:
            return block._gradient_checkpointing_func(partial(compiled, block), *args, **kwargs)
        return compiled(block, *args, **kwargs)

    def warm_up(self) -> Compiled:
        """Turns this on and compiles, by a pass both ways over a made forest, which leaves gradients and draws numbers.

        Raises:
            RuntimeError: If it cannot be compiled, or no gradient runs through any block.
            OSError: If the compiler cannot be run, or finds no room for its files.
        """
        from torch._dynamo import config

        # What another model has left behind would count against this one: only so many graphs are made of a function.
        torch.compiler.reset()
        started, before, self.on = time.monotonic(), graphs(), True
        self._model.train()
        # Attention in the midst of a block would otherwise cut it into four graphs, and not two.
        with config.patch(nested_graph_breaks=True):
            hidden_ND = run(self._model, _made_forest(self._model))
            if hidden_ND.requires_grad:
                hidden_ND.float().sum().backward()  # type: ignore[no-untyped-call]
        if not self._met:
            raise RuntimeError("no gradient runs through any block that could be compiled")
        return Compiled(len(self._met), len(self._blocks), graphs() - before, time.monotonic() - started)

    def remove(self) -> None:
        """Leaves the blocks as they were."""
        self.on = False
        for block in self._blocks:
            block.__dict__.pop("forward", None)


def graphs() -> int:
    """Graphs that this process has compiled so far."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def _compile(plain: Callable[..., Any]) -> Callable[..., Any]:
    # torch's own generator in the graphs: the same numbers are dropped, compiled or not, and drawn again.
    options: dict[str, Any] | None = {"fallback_random": True} if COMPILER == "inductor" else None
    compiled: Callable[..., Any] = torch.compile(plain, dynamic=True, backend=COMPILER, options=options)
    return compiled


def _uncheckpointed(block: nn.Module) -> Callable[..., Any]:
    """A block's forward function without transformers' wrapper, which may compute it again: that belongs outside."""
    found: Callable[..., Any] = type(block).forward
    return getattr(found, "__wrapped__", found)


def _has_gradient(states: Any) -> bool:
    return isinstance(states, torch.Tensor) and states.requires_grad


def _made_forest(model: Any) -> Any:
    """Rows without anything in common, as the model reads them."""
    both_ways = bool(getattr(layout.unwrap(model), "reads_both_ways", False))
    paths = []
    for row in range(_ROWS):
        tokens = ((np.arange(_TOKENS + 1) + row) % _IDS + 1).astype(np.int32)
        weights = np.zeros(len(tokens), dtype=np.float32)
        weights[-1] = 1.0
        if both_ways:
            targets = np.zeros(_TOKENS, np.int32)
            paths.append(Path(tokens[:-1], weights[1:], row, row, head="none", targets=targets, both_ways=True))
        else:
            paths.append(Path(tokens, weights, row, row))
    return grow(model, paths)
