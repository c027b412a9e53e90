"""States of a frozen model: computed once, and scored as if they were computed each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.forest.test_both_ways import CLASSES, some_rows
from tests.tiny_encoder import tiny_encoder
from tunewright.forest import build, cut
from tunewright.forest.layout import adopt
from tunewright.forest.score import score
from tunewright.models import heads
from tunewright.train import states
from tunewright.train.states import FrozenStates


@pytest.fixture
def model() -> Any:
    found = tiny_encoder(hidden_dropout_prob=0.3).requires_grad_(False)
    adopt(found)
    heads.attach(found, "label", CLASSES, seed=1)
    return found


def test_scores_and_gradients_are_those_of_the_whole_model(model: Any, tmp_path: Path) -> None:
    forest, head = build(some_rows()), heads.find(model, "label")
    expected = score(model.eval(), forest, smoothing=0.1)
    kept = FrozenStates(model, tmp_path / "run" / "states.bin")
    model.train()  # states are taken without dropout, whatever the model is set to
    for _ in range(2):
        found = kept.score(forest, smoothing=0.1)
        torch.testing.assert_close(found.logp, expected.logp, rtol=0, atol=1e-6)
        assert torch.equal(found.hit, expected.hit)
        assert model.training
    weights = torch.tensor(forest.edge_weight()).float()
    gradients = [torch.autograd.grad((weights * each.logp).sum(), head.weight)[0] for each in (expected, found)]
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[0].norm()


def test_each_distinct_row_is_computed_once(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    run = states.run

    def counted(model: Any, forest: Any) -> torch.Tensor:
        computed.append(forest.nodes)
        return run(model, forest)

    monkeypatch.setattr(states, "run", counted)
    kept = FrozenStates(model, tmp_path / "states.bin")
    whole = build(some_rows())
    for piece in [*cut(whole, 20), whole, *cut(whole, 1000)]:
        kept.score(piece)
    # The first row stands there twice, with other places that predict: two entries.
    assert kept.rows == 5
    assert sum(computed) == whole.nodes
    places = sum(len(path.edges()[0]) for path in some_rows())
    assert (tmp_path / "states.bin").stat().st_size == places * 24 * 4
    kept.close()
    assert not (tmp_path / "states.bin").exists()
