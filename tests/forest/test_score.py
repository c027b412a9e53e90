"""Loss and gradient of the forest equal those of plain rows, one at a time, through the stock model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_forest import path, some_paths
from tests.tiny import tiny_model
from tunewright.base.errors import TunewrightError
from tunewright.base.plugins import BACKENDS
from tunewright.forest import Path, build, cut, score_paths
from tunewright.forest.edges import ShapeError, edge_scores
from tunewright.forest.layout import adopt
from tunewright.forest.score import grow, run, score
from tunewright.models.methods import lora

# FlexAttention has no gradients on a processor; what it has there is checked in backends/test_flex.py.
ON_A_PROCESSOR = [name for name in BACKENDS.names() if not BACKENDS.call(name, "unfit", torch.device("cpu"))]
backends = pytest.mark.parametrize("backend", ON_A_PROCESSOR)


def adapted(model: Any) -> Any:
    """LoRA with B drawn at random: at zero, half of the gradients vanish and prove nothing."""
    wrapped = lora.attach(model, lora.Config(rank=4), seed=1)
    generator = torch.Generator().manual_seed(2)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator, dtype=weight.dtype) * 0.1
    return wrapped


def models(dtype: torch.dtype, *, full: bool = False, **changes: Any) -> tuple[Any, Any]:
    """The same model twice: stock attention, and the forest's."""
    stock = tiny_model(**changes).to(dtype)
    if full:
        stock.requires_grad_(True)
    else:
        stock = adapted(stock)
    ours = copy.deepcopy(stock)
    adopt(ours)
    return stock, ours


def plain_loss(model: Any, paths: Sequence[Path]) -> torch.Tensor:
    """Weighted negative log-probability, row by row."""
    total = torch.zeros((), dtype=torch.float64)
    for p in paths:
        logits = model(input_ids=torch.tensor(p.tokens[None].astype(np.int64))).logits[0]
        logits = logits[len(logits) - len(p.tokens) :]  # without those of virtual tokens, where there are such
        logp = logits.double().log_softmax(-1)[:-1].gather(1, torch.tensor(p.tokens[1:, None].astype(np.int64)))[:, 0]
        total = total - (logp * torch.tensor(p.weights[1:], dtype=torch.float64)).sum()
    return total


def forest_loss(model: Any, paths: Sequence[Path], budget: int, backend: str) -> torch.Tensor:
    total = torch.zeros((), dtype=torch.float64)
    adopt(model, backend)
    for piece in cut(grow(model, paths), budget):
        if piece.nodes:
            logp = score(model, piece).logp
            total = total - (logp.double() * torch.tensor(piece.edge_weight())).sum()
    return total


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    if loss.requires_grad:
        loss.backward()
    weights = [w for w in model.parameters() if w.requires_grad]
    return torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).reshape(-1).double() for w in weights])


def assert_same(stock: Any, ours: Any, paths: Sequence[Path], budget: int, backend: str, tolerance: float) -> None:
    expected, found = plain_loss(stock, paths), forest_loss(ours, paths, budget, backend)
    scale = sum(float(np.abs(p.weights).sum()) for p in paths) + 1e-9
    assert abs(float((expected - found).detach())) <= tolerance * 10 * scale
    g_plain, g_forest = gradient(stock, expected), gradient(ours, found)
    assert float((g_plain - g_forest).norm()) <= tolerance * float(g_plain.norm()) + 1e-12


@pytest.fixture(scope="module")
def pair32() -> tuple[Any, Any]:
    return models(torch.float32)


@backends
@settings(deadline=None, max_examples=25)
@given(paths=some_paths(), budget=st.integers(4, 40))
def test_equals_plain_rows_in_float32(pair32: tuple[Any, Any], backend: str, paths: list[Path], budget: int) -> None:
    assert_same(*pair32, paths, budget, backend, 1e-5)


def long_rows(rows: int = 9, seed: int = 3) -> list[Path]:
    """One long beginning, branches off branches, rows of uneven length, weights of either sign."""
    random = np.random.default_rng(seed)
    start = random.integers(3, 250, 40).tolist()
    found = []
    for row in range(rows):
        middle = random.integers(3, 250, 25).tolist() if row % 3 == 0 else found[-1].tokens[40:65].tolist()
        tokens = [*start, *middle, *random.integers(3, 250, 3 + 7 * row).tolist()]
        weights = np.where(random.random(len(tokens)) < 0.5, random.normal(size=len(tokens)), 0.0)
        weights[0] = 0
        found.append(path(tokens, weights.tolist(), group=row // 2, row=row))
    return found


@backends
@pytest.mark.parametrize("budget", [10_000, 150])
def test_equals_plain_rows_in_float64(backend: str, budget: int) -> None:
    # The scores themselves are float32 by contract, so the bound on them is float32's.
    assert_same(*models(torch.float64), long_rows(), budget, backend, 1e-6)


@backends
def test_equals_plain_rows_when_all_weights_train(backend: str) -> None:
    assert_same(*models(torch.float32, full=True), long_rows(), 200, backend, 1e-5)


@backends
def test_sliding_windows_compare_depths(backend: str) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    stock = MistralForCausalLM(
        MistralConfig(
            vocab_size=259, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, sliding_window=6, initializer_range=0.3, attn_implementation="eager",
        )
    )  # fmt: skip
    stock = adapted(stock.eval())
    ours = copy.deepcopy(stock)
    adopt(ours)
    assert_same(stock, ours, long_rows(4), 10_000, backend, 1e-5)


def test_head_with_several_edges_from_one_node_has_each_ones_gradient() -> None:
    paths = [path([4, 5, token], [0, 0, weight], row=token) for token, weight in ((7, 1.0), (8, -2.0), (9, 0.5))]
    assert_same(*models(torch.float32), paths, 100, "dense", 1e-5)


@pytest.mark.parametrize("full", [False, True], ids=["frozen head", "trained head"])
def test_smoothed_scores_are_cross_entropies_of_smoothed_targets(full: bool) -> None:
    """Against torch's own label smoothing, which is a loss over all logits."""
    stock, ours = models(torch.float64, full=full)
    paths = [path([5, 6, 7], [0, 1, 1], 0), path([5, 6, 8], [0, 1, 1], 1)]  # two edges leave one node
    expected = torch.zeros((), dtype=torch.float64)
    for p in paths:
        logits = stock(input_ids=torch.tensor(p.tokens[None].astype(np.int64))).logits[0, :-1]
        target = torch.tensor(p.tokens[1:].astype(np.int64))
        expected = expected + torch.nn.functional.cross_entropy(logits, target, reduction="sum", label_smoothing=0.25)
    forest = build(paths)
    logp = score(ours, forest, "dense", smoothing=0.25).logp
    found = -(logp.double() * torch.tensor(forest.edge_weight())).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    right, mine = gradient(stock, expected), gradient(ours, found)
    assert (right - mine).norm() <= 1e-6 * right.norm()


def test_score_paths_keeps_the_callers_order_and_equals_plain_rows() -> None:
    stock, ours = models(torch.float32)
    paths = long_rows()[::-1]
    with torch.no_grad():
        expected = [-float(plain_loss(stock, [p])) for p in paths]
    assert score_paths(ours, paths, node_budget=120) == pytest.approx(expected, abs=1e-3)


def test_hits_are_the_most_probable_tokens() -> None:
    _, ours = models(torch.float32)
    with torch.no_grad():
        forest = build([path([4, 5, 6], [0, 0, 1])])
        hidden = run(ours, forest)
        best = int(ours.get_base_model().lm_head(hidden)[1].argmax())
        hit = score(ours, build([path([4, 5, best], [0, 0, 1])])).hit
        miss = score(ours, build([path([4, 5, (best + 1) % 259], [0, 0, 1])])).hit
    assert hit.tolist() == [True]
    assert miss.tolist() == [False]


def test_stock_call_of_an_adopted_model_is_an_error() -> None:
    _, ours = models(torch.float32)
    with pytest.raises(TunewrightError, match="without a layout"):
        ours(input_ids=torch.tensor([[1, 2]]))


def test_edge_from_a_node_that_does_not_exist_is_an_error() -> None:
    forest = build([path([4, 5, 6], [0, 0, 1])])
    with pytest.raises(ShapeError, match="node 1"):
        edge_scores(torch.zeros(1, 32), torch.nn.Linear(32, 10), forest)


@backends
def test_bfloat16_computes_the_same_but_for_its_rounding(backend: str) -> None:
    forest = build([path([1, 2, 3, 4], [0, 1, 1, 1]), path([1, 2, 5, 6], [0, 1, 1, 1], 1, 1)])
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = tiny_model().to(dtype)
        adopt(model, backend)
        wrapped = adapted(model)
        for weight in wrapped.parameters():
            weight.data = weight.data.to(dtype)
        score(wrapped, forest).logp.sum().backward()
        gradients = [w.grad.float().flatten() for w in wrapped.parameters() if w.grad is not None]
        found[dtype] = torch.cat(gradients)
    assert (found[torch.bfloat16] - found[torch.float32]).norm() <= 0.1 * found[torch.float32].norm()
