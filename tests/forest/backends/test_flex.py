"""FlexAttention: its mask exhaustively, and its forward pass against `dense`.

On a processor it has no gradients, and it is not compiled: what CUDA adds is not tested here.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_forest import path, some_paths
from tests.forest.test_score import adapted, long_rows
from tests.models.methods.virtual import CONFIGS, attached
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.forest import Forest, Path, build
from tunewright.forest.backends import dense, flex
from tunewright.forest.layout import adopt
from tunewright.forest.score import score

CPU = torch.device("cpu")


def sees(forest: Forest, window: int) -> list[list[bool]]:
    """Which node sees which, by walking up from each: what the mask must be."""
    found = []
    for query in range(forest.nodes):
        line = forest.ancestors(query).tolist()
        found.append([key in (line[-window:] if window else line) for key in range(forest.nodes)])
    return found


@settings(deadline=None, max_examples=50)
@given(paths=some_paths(), window=st.integers(0, 4))
def test_the_mask_shows_each_node_its_ancestors_and_itself(paths: list[Path], window: int) -> None:
    forest = build(paths)
    reach = torch.tensor(window) if window else None
    rule = flex.visible(*(torch.tensor(array) for array in (forest.begin, forest.end, forest.depth)), reach)
    node = torch.arange(forest.nodes)
    none = torch.tensor(0)
    assert rule(none, none, node[:, None], node[None, :]).tolist() == sees(forest, window)


@pytest.mark.parametrize("window", [0, 7])
def test_blocks_hide_nothing_that_is_visible_and_padding_sees_itself_only(window: int) -> None:
    from torch.nn.attention.flex_attention import create_mask

    forest = build(long_rows())
    layout: Any = flex.build(forest, CPU)
    filled = layout._filled
    assert filled % flex.BLOCK == 0
    assert filled - flex.BLOCK < forest.nodes < filled
    mask = layout._mask(window)
    assert layout._mask(window) is mask
    whole = create_mask(mask.mask_mod, None, None, filled, filled, "cpu")[0, 0]
    assert whole[: forest.nodes, : forest.nodes].tolist() == sees(forest, window)
    assert torch.equal(whole[forest.nodes :], torch.eye(filled, dtype=torch.bool)[forest.nodes :])
    blocks = whole.view(filled // flex.BLOCK, flex.BLOCK, filled // flex.BLOCK, flex.BLOCK)
    assert torch.equal(mask.to_dense()[0, 0].bool(), blocks.any(3).any(1))


@pytest.mark.parametrize("window", [0, 6])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (6, 1)])
def test_attention_equals_the_oracles(window: int, heads: int, groups: int) -> None:
    forest = build(long_rows(6))
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, n, forest.nodes, 16, generator=generator) for n in (heads, groups, groups))
    expected, found = (backend.build(forest, CPU).attend(0, q, k, v, 0.3, window) for backend in (dense, flex))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def model() -> Any:
    wrapped = adapted(tiny_model())
    adopt(wrapped)
    return wrapped


@settings(deadline=None, max_examples=10)
@given(paths=some_paths())
def test_scores_equal_the_oracles(model: Any, paths: list[Path]) -> None:
    forest = build(paths)
    if forest.nodes:
        with torch.no_grad():
            found, expected = (score(model, forest, backend).logp for backend in ("flex", "dense"))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_virtual_tokens_are_nodes_like_others(name: str) -> None:
    model = attached(CONFIGS[name])
    adopt(model)
    forest = build(long_rows(4))
    with torch.no_grad():
        found, expected = (score(model, forest, backend).logp for backend in ("flex", "dense"))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_differs_by_its_rounding() -> None:
    model = copy.deepcopy(tiny_model()).to(torch.bfloat16)
    adopt(model)
    forest = build([path([1, 2, 3, 4], [0, 1, 1, 1]), path([1, 2, 5, 6], [0, 1, 1, 1], 1, 1)])
    with torch.no_grad():
        found, expected = (score(model, forest, backend).logp for backend in ("flex", "dense"))
    assert float((found - expected).norm()) <= 0.05 * float(expected.norm())


def test_an_empty_forest_is_one_block_of_padding() -> None:
    layout: Any = flex.build(build([]), CPU)
    assert layout._filled == flex.BLOCK
    nothing = torch.empty(1, 2, 0, 16)
    assert layout.attend(0, nothing, nothing, nothing, 1.0, 0).shape == (1, 0, 2, 16)
    assert np.array_equal(layout._end.numpy(), np.arange(1, flex.BLOCK + 1))


def test_on_a_processor_it_is_refused_with_the_reason() -> None:
    with pytest.raises(ModelError, match=r"train\.backend: The backend 'flex' does not fit: .*on CUDA only.*cpu"):
        adopt(tiny_model(), "flex")
