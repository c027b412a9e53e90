"""What is chosen for which data, memory and model, and the reason that is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.methods.adapting import attached, loaded, logits, randomised, saved
from tests.tiny import tiny_folder, tiny_model
from tunewright.base.plugins import PluginConfig
from tunewright.models.memory import ModelSize, model_size
from tunewright.models.methods import auto, lora, qlora, rslora
from tunewright.models.methods.auto import Choice, Means, choose

# 60,000 weights a rank: at rank 16 an update holds 16 x 60,000 x 2 = 1,920,000 bits, at 128 eight times as many.
SIZE = ModelSize(
    parameters=100_000_000, layers=10, hidden=512, intermediate=1024, vocabulary=8000, linear_widths=60_000
)
PEAKS = {"lora": 4, "rslora": 5, "qlora": 2, "full": 20}
GIB = 1 << 30


def peak(method: PluginConfig) -> int:
    return PEAKS[method.plugin] * GIB


def chosen(*, rows: int = 5000, learned: int = 50_000, available: float = 100, **means: Any) -> Choice:
    return choose(SIZE, rows=rows, learned=learned, means=Means(int(available * GIB), peak, **means))


@pytest.mark.parametrize(
    ("rows", "learned", "method", "rank"),
    [
        (10, 100, "lora", 8),
        (999, 960_000, "lora", 8),
        (999, 960_001, "lora", 16),
        (1000, 100, "lora", 16),
        (1000, 1_920_000, "lora", 16),
        (1000, 1_920_001, "lora", 32),
        (1000, 3_840_001, "rslora", 64),
        (1000, 15_360_000, "rslora", 128),
    ],
)
def test_the_rank_is_the_smallest_that_holds_the_data(rows: int, learned: int, method: str, rank: int) -> None:
    choice = chosen(rows=rows, learned=learned)
    assert (choice.method, choice.settings) == (method, {"rank": rank})
    assert f"can hold {rows:,} rows with {learned:,} tokens to learn" in choice.reason
    assert f"{rank * 60_000:,} weights at rank {rank}" in choice.reason


def test_data_beyond_any_rank_train_the_whole_model_where_that_can_be() -> None:
    assert chosen(learned=15_360_001) == Choice(
        "full",
        {},
        "5,000 rows with 15,360,001 tokens to learn are more than an adapter of rank 128 holds, and training takes "
        "about 20.0 GB of 100.0 GB free",
    )
    bound = chosen(learned=15_360_001, available=19)
    assert (bound.method, bound.settings) == ("rslora", {"rank": 128})
    assert "ask for the highest rank there is, 128" in bound.reason


def test_memory_decides_about_quantising() -> None:
    assert chosen(available=4).method == "lora"
    tight = chosen(available=3.5)
    assert (tight.method, tight.settings) == ("qlora", {"rank": 16})
    assert tight.reason.endswith(
        "; on a base of four bits training takes about 2.0 GB of 3.5 GB free (4.0 GB as it is)"
    )
    nothing = chosen(available=1)
    assert nothing.method == "qlora"
    assert "the nearest to fitting: training takes about 2.0 GB of 1.0 GB free" in nothing.reason
    bare = chosen(available=3.5, quantises=False)
    assert bare.method == "lora"
    assert "training takes about 4.0 GB of 3.5 GB free, and without bitsandbytes" in bare.reason


def test_no_rank_is_above_the_narrowest_layer(tmp_path: Path) -> None:
    size = model_size(tiny_folder(tmp_path / "base"))  # its keys are 16 wide
    choice = choose(
        size, rows=5000, learned=10**9, means=Means(10, lambda method: 20 if method.plugin == "full" else 1)
    )
    assert (choice.method, choice.settings) == ("lora", {"rank": 16})
    lora.attach(tiny_model(), lora.Config(rank=16), seed=1)  # and that is one it takes


def test_the_settings_are_the_methods_own() -> None:
    assert Choice("rslora", {"rank": 64}).config == rslora.Config(rank=64)
    assert Choice("qlora", {"rank": 8}).config == qlora.Config(rank=8)


def test_where_only_a_model_is_known_it_is_lora(tmp_path: Path) -> None:
    size = model_size(tiny_folder(tmp_path / "base"))
    ours, plain = attached(auto.Config()), attached(lora.Config())
    assert auto.trainable(size, auto.Config()) == sum(w.numel() for w in ours.parameters() if w.requires_grad)
    assert auto.LEARNING_RATE == lora.LEARNING_RATE
    for one, other in zip(randomised(ours).parameters(), randomised(plain).parameters(), strict=True):
        assert torch.equal(one, other)
    again = loaded(saved(ours.eval(), tmp_path / "adapter", auto.Config()))
    assert torch.equal(logits(again), logits(ours))
