"""Compiled blocks give the gradient of blocks as they are, and what cannot be compiled says why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import setuptools  # noqa: F401 (before others import the standard library's distutils, which it would refuse beside its own)
import torch

from tests.forest.backends.test_unshared import made, mamba
from tests.forest.test_score import long_rows
from tests.tiny import tiny_model
from tests.tiny_t5 import tiny_t5
from tests.train.made import made_recipe
from tests.train.test_recompute import attached, loss_and_gradient
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.score import run
from tunewright.train import blocks
from tunewright.train.blocks import CompiledBlocks, graphs, unfit

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler to compile with"
)


def gradient(model: Any) -> torch.Tensor:
    model.zero_grad()
    return loss_and_gradient(model)[1]


def assert_same(model: Any, compiled: CompiledBlocks, expected: torch.Tensor) -> None:
    """The gradient is that of the blocks as they were, dropout and all, from no further graphs; and so when off."""
    before = graphs()
    found = gradient(model)
    assert graphs() == before  # another number of nodes than the graphs were made from
    assert expected.norm() > 0
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    compiled.remove()
    assert torch.equal(gradient(model), expected)


@needs_compiler
@pytest.mark.slow
@pytest.mark.long
def test_gradient_is_the_same_through_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    model = attached("lora", {"rank": 4}, again=False)
    expected = gradient(model)
    compiled = CompiledBlocks(model)
    told = compiled.warm_up()
    # The first block's input needs no gradient; one graph stands before attention, one behind.
    assert (told.blocks, told.of, told.graphs) == (1, 2, 2)
    assert list(tmp_path.rglob("*.so"))
    assert_same(model, compiled, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "again"),
    [("lora", {"rank": 4, "dropout": 0.3}, True), ("full", {}, False)],
    ids=["dropout, blocks computed again", "all weights"],
)
def test_gradient_is_the_same_as_traced(
    name: str, settings: dict[str, Any], again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "COMPILER", "eager")
    model = attached(name, settings, again=again)
    expected = gradient(model)
    compiled = CompiledBlocks(model)
    assert compiled.warm_up().blocks == (2 if name == "full" else 1)
    assert_same(model, compiled, expected)


def test_only_blocks_on_a_gradients_way_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def listening(plain: Any) -> Any:
        def forward(block: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(block.self_attn.layer_idx)
            return plain(block, *args, **kwargs)

        return forward

    monkeypatch.setattr(blocks, "_compile", listening)
    model = attached("lora", {"rank": 4}, again=False)
    compiled = CompiledBlocks(model)
    forest = build(long_rows())
    run(model, forest)
    assert calls == []  # off
    compiled.on = True
    run(model, forest)
    assert calls == [1]
    with torch.no_grad():
        run(model, forest)
    run(model.eval(), forest)
    assert calls == [1]


def test_a_model_through_which_no_gradient_runs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_compile", lambda plain: plain)
    model = tiny_model().requires_grad_(False)
    adopt(model)
    with pytest.raises(RuntimeError, match="no gradient runs through any block"):
        CompiledBlocks(model).warm_up()


def test_what_does_not_fit_says_why() -> None:
    model = attached("lora", {"rank": 2}, again=False)
    assert unfit(model, made_recipe(sharding="full")).startswith("train.sharding: full puts weights")
    assert "watches what each block keeps" in unfit(model, made_recipe(offload="activations"))
    assert "fall into many small graphs" in unfit(model, made_recipe({"name": "dora"}))
    balanced = attached("molora", {"experts": 4, "rank": 2, "top_k": 1, "balance": 1.0}, again=False)
    assert "the balance of its experts" in unfit(balanced, made_recipe())
    blocks.find_blocks(model)[0].forward = model.forward
    assert "something else has changed them" in unfit(model, made_recipe())
    for family, why in ((made(mamba), "shares no prefixes"), (tiny_t5(), "is an encoder-decoder")):
        adopt(family)
        assert why in unfit(family, made_recipe())


def test_a_machine_without_a_compiler_says_so() -> None:
    from torch._inductor import config

    model = attached("lora", {"rank": 2}, again=False)
    with config.patch({"cpp.cxx": ("/nowhere/g++",)}):
        assert unfit(model, made_recipe()).startswith("there is no C++ compiler on this machine")


@needs_compiler
def test_a_causal_model_on_a_machine_with_one_fits() -> None:
    assert unfit(attached("lora", {"rank": 2}, again=False), made_recipe()) == ""
