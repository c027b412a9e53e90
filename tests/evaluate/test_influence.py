from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model
from tunewright.base.errors import InputError
from tunewright.evaluate.influence import influences
from tunewright.forest import Path, layout


def path(tokens: list[int], learned: int, row: int = 0) -> Path:
    weights = np.array([0.0] * (len(tokens) - learned) + [1.0] * learned, dtype=np.float32)
    return Path(np.array(tokens, dtype=np.int32), weights, group=row, row=row)


def made() -> tuple[torch.nn.Module, torch.nn.Module, dict[str, torch.Tensor], list[Path]]:
    plain, ours = tiny_model(seed=5, initializer_range=0.1), tiny_model(seed=5, initializer_range=0.1)
    layout.adopt(ours)
    weights = {name: w for name, w in ours.named_parameters() if name.endswith("q_proj.weight")}
    dice = np.random.default_rng(7)
    rows = [[3, 4, 5, *dice.integers(6, 250, 4).tolist()] for _ in range(12)]
    return plain, ours, weights, [path(tokens, 2, row) for row, tokens in enumerate(rows)]


def plain_gradient(model: torch.nn.Module, row: Path, names: list[str]) -> torch.Tensor:
    """Gradient of the mean log-probability of a row's learned tokens, through transformers' own forward pass."""
    tokens = torch.tensor(row.tokens[None].astype(np.int64))
    logp = model(input_ids=tokens).logits[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]
    mean = (logp * torch.tensor(row.weights[1:])).sum() / float(row.weights.sum())
    own = dict(model.named_parameters())
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(mean, [own[name] for name in names])])


def test_similarities_are_cosines_of_plain_gradients() -> None:
    plain, ours, weights, rows = made()
    answer = path([3, 4, 9, 100, 120], 2)
    found = influences(ours, answer, rows, weights, shown=12)
    asked = plain_gradient(plain, answer, list(weights))
    cosine = [
        float(torch.nn.functional.cosine_similarity(plain_gradient(plain, row, list(weights)), asked, dim=0))
        for row in rows
    ]
    named = {each.row: each.similarity for each in (*found.toward, *found.against)}
    assert named == pytest.approx(dict(enumerate(cosine)), abs=1e-4)
    assert [each.similarity for each in found.toward] == pytest.approx(
        sorted((c for c in cosine if c > 0), reverse=True), abs=1e-4
    )
    assert found.agreement is not None
    assert found.agreement > 0.99


def test_the_screening_finds_the_row_that_is_the_answer_itself() -> None:
    _, ours, weights, rows = made()
    answer = path(rows[8].tokens.tolist(), 2)
    found = influences(ours, answer, rows, weights, shown=1, finalists=4)
    assert found.toward[0].row == 8
    assert found.toward[0].similarity == pytest.approx(1.0, abs=1e-4)
    assert found.rows == 12


def test_the_model_is_left_as_it_was() -> None:
    _, ours, weights, rows = made()
    ours.requires_grad_(False)
    before = {name: weight.clone() for name, weight in ours.state_dict().items()}
    influences(ours, path([3, 4, 9], 1), rows, weights)
    assert all(torch.equal(weight, before[name]) for name, weight in ours.state_dict().items())
    assert not any(weight.requires_grad for weight in ours.parameters())


def test_rows_without_anything_learned_are_refused() -> None:
    _, ours, weights, rows = made()
    with pytest.raises(InputError, match="Nothing is learned from 1 of 13"):
        influences(ours, path([3, 4, 9], 1), [*rows, path([3, 4], 0, 12)], weights)
    with pytest.raises(InputError, match="0 of 0"):
        influences(ours, path([3, 4, 9], 1), [], weights)
