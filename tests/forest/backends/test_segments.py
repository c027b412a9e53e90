"""Attention by segments: how a forest is cut, its own gradient in bfloat16, and padding up to few shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.forest.test_score import long_rows, path
from tests.tiny import tiny_model
from tunewright.forest import build
from tunewright.forest.backends import _rows, segments
from tunewright.forest.backends.segments import build as lay_out
from tunewright.forest.forest import Forest, fill
from tunewright.forest.layout import adopt
from tunewright.forest.score import run, score
from tunewright.forest.sizes import few_sizes

HEADS, GROUPS, WIDTH = 6, 2, 8
CPU = torch.device("cpu")


def states(nodes: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Queries, keys and values, the same numbers in every dtype."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(1, heads, nodes, WIDTH) for heads in (HEADS, GROUPS, GROUPS)]
    made = [torch.randn(shape, generator=generator).bfloat16().to(dtype) for shape in shapes]
    return [each.requires_grad_() for each in made]


def attended(forest: Forest, dtype: torch.dtype, window: int) -> list[torch.Tensor]:
    """The answers, and the gradients for queries, keys and values."""
    inputs = states(forest.nodes, dtype)
    out = lay_out(forest, CPU).attend(0, *inputs, WIDTH**-0.5, window)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(6)).bfloat16().to(dtype)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad)]


@pytest.mark.parametrize("window", [0, 5])
@pytest.mark.parametrize("at_once", [1 << 19, 700, 1], ids=["whole", "some rows", "one query"])
def test_gradients_in_bfloat16_are_those_of_float64(monkeypatch: pytest.MonkeyPatch, window: int, at_once: int) -> None:
    monkeypatch.setattr(_rows, "_AT_ONCE", at_once)
    forest = build(long_rows(6))
    for found, expected in zip(
        attended(forest, torch.bfloat16, window), attended(forest, torch.float64, window), strict=True
    ):
        assert found.dtype == torch.bfloat16
        assert (found.double() - expected).norm() <= 1e-2 * expected.norm()


def test_blocks_leave_out_keys_that_nobody_sees() -> None:
    """A row of eight tokens, two queries at a time: they see two, four, six and eight keys."""
    visible = torch.ones(1, 8, 8, dtype=torch.bool).tril()
    distance = torch.arange(8)[:, None] - torch.arange(8)
    bucket = _rows.Bucket(visible, distance.abs()[None])
    blocks = [_rows._Block(slice(0, 1), slice(first, first + 2), first + 2) for first in (0, 2, 4, 6)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "_AT_ONCE", 2 * 8 * 3)
        assert bucket.blocks(0, 3) == blocks


def test_a_segment_sees_its_own_nodes_and_the_root_path_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 2 3 with 4 and 5 behind it, and a second tree 6 7: seven nodes, cut into threes."""
    monkeypatch.setattr(segments, "_SHORTEST", 3)
    rows = [([1, 2, 3, 4, 9], 0), ([1, 2, 3, 5, 9], 1), ([6, 7, 9], 2)]
    forest = build([path(tokens, [0.0] * (len(tokens) - 1) + [1.0], row=row) for tokens, row in rows])
    (found,) = segments.arrange(forest)
    assert [(each.start, each.end, each.keys.tolist()) for each in found] == [
        (0, 3, [0, 1, 2]),
        (3, 6, [0, 1, 2, 3, 4, 5]),
        (6, 7, [5, 6]),
    ]


@given(st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=9), min_size=1, max_size=12), st.integers(1, 5))
def test_segments_hold_each_node_once_and_all_that_it_sees(rows: list[list[int]], shortest: int) -> None:
    weights = [[0.0] * (len(tokens) - 1) + [1.0] for tokens in rows]
    forest = build([path(tokens, each, row=row) for row, (tokens, each) in enumerate(zip(rows, weights, strict=True))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "_SHORTEST", shortest)
        found = [each for group in segments.arrange(forest) for each in group]
    assert sorted(node for each in found for node in range(each.start, each.end)) == list(range(forest.nodes))
    for each in found:
        assert (np.diff(each.keys) > 0).all()
        for node in range(each.start, each.end):
            assert set(forest.ancestors(node)) <= set(each.keys)


def test_queries_are_not_padded_where_some_length_cuts_evenly() -> None:
    assert [segments._length(fill(build(long_rows(4)), nodes)) for nodes in (416, 448, 480, 419)] == [52, 64, 60, 64]


def test_things_of_like_length_go_together() -> None:
    # 100 goes with what is at least 67 long, 60 with 40 and more; 17 begins a group, as 60 is over 1.5 times that, and
    # all that is no longer than 16 would be a group of its own, but 17 is within 1.5 of 12 only.
    assert segments.bucket([12, 100, 60, 70, 17, 1]) == [[1, 3], [2], [4, 0], [5]]


@pytest.mark.parametrize("backend", ["segments", "dense"])
def test_padding_changes_nothing(backend: str) -> None:
    model: Any = tiny_model()
    adopt(model)
    forest = build(long_rows(4))
    filled = fill(forest, forest.nodes + 7)
    assert filled.nodes == forest.nodes + 7
    assert filled.count[forest.nodes :].tolist() == [0] * 7
    plain, found = (run(model, each, backend) for each in (forest, filled))
    assert torch.allclose(found[: forest.nodes], plain, atol=1e-5)
    assert torch.equal(score(model, filled, backend).hit, score(model, forest, backend).hit)


def test_a_model_in_bfloat16_meets_few_sizes() -> None:
    assert [few_sizes(nodes) for nodes in (1, 8, 9, 127, 128, 129, 449, 1000)] == [8, 8, 16, 128, 128, 144, 480, 1024]
    assert len({few_sizes(nodes) for nodes in range(256, 4097)}) == 33
    wide: Any = tiny_model()
    narrow: Any = tiny_model().bfloat16()
    met = []
    narrow.model.layers[0].register_forward_pre_hook(lambda module, given: met.append(given[0].shape[1]))
    forest = build(long_rows(4))
    for model in (wide, narrow):
        adopt(model)
    met.clear()
    expected, found = (run(model, forest) for model in (wide, narrow))
    assert met == [few_sizes(forest.nodes)]
    assert len(found) == forest.nodes
    assert (found.float() - expected).norm() <= 3e-2 * expected.norm()
