"""Rows that are read both ways: an encoder on a forest gives what it gives row by row."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model
from tests.tiny_encoder import tiny_encoder
from tunewright.base.errors import DataError, ModelError
from tunewright.forest import Path, build, cut
from tunewright.forest.layout import adopt
from tunewright.forest.score import run, score
from tunewright.models import heads

KINDS = ("bert", "roberta", "distilbert", "modernbert")
CLASSES = ("a", "b", "c")


def whole(tokens: list[int], targets: dict[int, int], row: int = 0, *, types: list[int] | None = None) -> Path:
    """A row read both ways, and the class that some of its places have."""
    weights, classes = np.zeros(len(tokens), np.float32), np.zeros(len(tokens), np.int32)
    for place, target in targets.items():
        weights[place], classes[place] = 1.0 + place, target
    told = None if types is None else np.array(types, np.int32)
    array = np.array(tokens, np.int32)
    return Path(array, weights, row, row, head="label", targets=classes, both_ways=True, types=told)


def some_rows() -> list[Path]:
    """Rows that begin alike, one twice, and one whose tokens are another's with other types."""
    random = np.random.default_rng(0)
    start = [2, *random.integers(5, 100, 6).tolist()]
    rows = [[*start, *random.integers(5, 100, more).tolist()] for more in (3, 12, 7)]
    return [
        whole(rows[0], {0: 1}, 0),
        whole(rows[1], {0: 2, 4: 0}, 1),
        whole(rows[0], {0: 1, 3: 2}, 2),
        whole(rows[2], {len(rows[2]) - 1: 0}, 3),
        whole(rows[2], {0: 2}, 4, types=[0] * 7 + [1] * 7),
    ]


def plain_loss(model: Any, paths: list[Path]) -> torch.Tensor:
    """Row by row through the stock model, and torch's own cross-entropy."""
    head, total = heads.find(model, "label"), torch.zeros(())
    for path in paths:
        told = {"input_ids": torch.tensor(path.tokens[None].astype(np.int64))}
        if path.types is not None:
            told["token_type_ids"] = torch.tensor(path.types[None].astype(np.int64))
        logits = head(model(**told).last_hidden_state[0])
        assert path.targets is not None
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(path.targets).long(), reduction="none")
        total = total + (losses * torch.tensor(path.weights)).sum()
    return total


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([w.grad.reshape(-1) for w in model.parameters() if w.grad is not None])


@pytest.mark.parametrize("backend", ["dense", "segments"])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_equal_plain_rows_under_any_cut(kind: str, backend: str) -> None:
    stock = tiny_encoder(kind)
    heads.attach(stock, "label", CLASSES, seed=1)
    ours = copy.deepcopy(stock)
    adopt(ours)
    rows = some_rows() if kind == "bert" else some_rows()[:4]  # the others know no types
    expected = plain_loss(stock, rows)
    g_plain = gradient(stock, expected)
    for budget in (1000, 20):
        pieces = cut(build(rows), budget)
        assert (len(pieces) > 1) == (budget == 20)
        losses = [-(score(ours, piece, backend).logp * torch.tensor(piece.edge_weight())).sum() for piece in pieces]
        found = torch.stack(losses).sum()
        assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
        assert (gradient(ours, found) - g_plain).norm() <= 1e-5 * g_plain.norm()


def test_only_equal_rows_share_nodes() -> None:
    rows = some_rows()
    forest = build(rows)
    lengths = [len(path.tokens) for path in rows]
    assert forest.nodes == sum(lengths) - lengths[0]
    assert forest.both_ways
    for row, path in enumerate(forest.paths):
        first = forest.begin[forest.source[forest.path_edge[forest.path_start[row]]]]
        line = slice(first, first + len(path.tokens))
        assert (forest.token[line] == path.tokens).all()
        assert (forest.begin[line] == first).all()
        assert (forest.end[line] == first + len(path.tokens)).all()
    assert forest.count.max() == 2  # the row that stands there twice


def test_a_causal_row_shares_its_beginning_and_ends_at_its_last_source() -> None:
    def labelled(tokens: list[int], row: int) -> Path:
        array, weights = np.array(tokens, np.int32), np.eye(1, len(tokens), len(tokens) - 1, dtype=np.float32)[0]
        return Path(array, weights, row, row, head="label", targets=np.full(len(tokens), row, np.int32))

    forest = build([labelled([5, 6, 7], 0), labelled([5, 6, 8], 1), labelled([5, 6, 8], 2)])
    assert forest.token.tolist() == [5, 6, 7, 8]
    assert list(zip(forest.source.tolist(), forest.target.tolist(), strict=True)) == [(2, 0), (3, 1), (3, 2)]


def test_a_causal_model_does_not_read_rows_that_are_to_be_read_both_ways_nor_the_other_way_round() -> None:
    model = tiny_model()
    adopt(model)
    with pytest.raises(ModelError, match="reads from left to right"):
        run(model, build([whole([2, 5, 6], {0: 1})]))
    encoder = tiny_encoder()
    adopt(encoder)
    with pytest.raises(ModelError, match="reads both ways"):
        run(encoder, build([Path(np.array([2, 5], np.int32), np.array([0, 1], np.float32), 0, 0)]))


def test_rows_of_two_heads_are_not_mixed() -> None:
    tokens = Path(np.array([2, 5], np.int32), np.array([0, 1], np.float32), 0, 0)
    with pytest.raises(DataError, match="several heads"):
        build([tokens, whole([2, 5, 6], {0: 1})])
    with pytest.raises(DataError, match="sees the tokens that it should predict"):
        build([Path(np.array([2, 5], np.int32), np.array([0, 1], np.float32), 0, 0, both_ways=True)])
