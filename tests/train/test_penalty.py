"""What an adapter adds to the loss is that of the whole step, however the step is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.made import made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.train import train

MOLORA = {"name": "molora", "experts": 4, "rank": 2, "top_k": 1}
ROUTERS = 14


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("penalty")
    made_base(folder / "tiny")
    return folder


def run(root: Path, folder: Path, method: dict[str, Any], **changes: Any) -> tuple[Any, list[dict[str, float]]]:
    heard: list[events.Event] = []
    base = made_base(root / "tiny")
    recipe = made_recipe(method=method, epochs=0.25, validate_every=1, warmup_share=0, **changes)
    trained = train(base, made_tables(base, root / "cache", rows=64), recipe, folder=folder, listener=heard.append)
    return trained, [e.values for e in heard if isinstance(e, events.Metrics) and "loss" in e.values]


def test_the_cut_changes_neither_the_penalty_nor_its_gradient(root: Path, tmp_path: Path) -> None:
    # So strong that most of the gradient is the penalty's.
    strong = {**MOLORA, "balance": 10.0}
    small, cut = run(root, tmp_path / "small", strong, node_budget=40)
    large, whole = run(root, tmp_path / "large", strong, node_budget=4000)
    weak, _ = run(root, tmp_path / "weak", {**MOLORA, "balance": 0.0}, node_budget=4000)
    assert [step["nodes"] for step in cut] > [step["nodes"] for step in whole]  # what pieces share stands in each
    assert cut[0]["balance"] == pytest.approx(whole[0]["balance"], rel=1e-6)
    assert cut[0]["balance"] >= 10.0 * ROUTERS  # even experts are the least there is
    assert small.progress.train[0] == pytest.approx(large.progress.train[0], rel=1e-4)
    assert large.progress.train[0][3] > 5 * weak.progress.train[0][3]
    # The second step shows what the first one's gradient did.
    assert cut[1]["balance"] == pytest.approx(whole[1]["balance"], rel=1e-3)


def test_noise_is_the_same_in_the_pass_that_gathers(root: Path, tmp_path: Path) -> None:
    # Dropout draws from one generator in order: a gathering pass that drew from it would change what follows.
    noisy = {**MOLORA, "dropout": 0.3}
    with_penalty, _ = run(root, tmp_path / "with", {**noisy, "balance": 1e-9}, node_budget=40)
    without, _ = run(root, tmp_path / "without", {**noisy, "balance": 0.0}, node_budget=40)
    assert with_penalty.progress.train[0] == pytest.approx(without.progress.train[0], rel=1e-5)
    assert with_penalty.progress.train[1][1] == pytest.approx(without.progress.train[1][1], rel=1e-4)


def test_it_is_told_apart_from_the_loss_and_only_where_there_is_one(root: Path, tmp_path: Path) -> None:
    _, chosen = run(root, tmp_path / "chosen", MOLORA)
    _, mixed = run(root, tmp_path / "mixed", {**MOLORA, "top_k": None})
    assert 0.01 * ROUTERS <= chosen[0]["balance"] <= 0.01 * ROUTERS * 4
    assert all("balance" not in step for step in mixed)
    assert torch.tensor([step["loss"] for step in chosen]).isfinite().all()
