"""Methods with virtual tokens on the one loop: they learn, repeat themselves, resume, and load to equal outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.models.methods.virtual import CONFIGS
from tests.train.made import made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.files import hash_folder
from tunewright.base.plugins import PluginConfig
from tunewright.forest import Path as ForestPath
from tunewright.forest import score_paths
from tunewright.forest.layout import adopt
from tunewright.models.adapters import load_adapter
from tunewright.models.methods import prompt
from tunewright.train import train

RATES = {"prompt": 0.3, "ptuning": 0.01, "ptuning-lstm": 0.03, "prefix": 0.3, "prefix-network": 0.1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    made_base(folder / "tiny")
    return folder


def run(root: Path, folder: Path, method: PluginConfig, resume: bool = False, **changes: Any) -> Any:
    base = made_base(root / "tiny")
    recipe = made_recipe(**changes).model_copy(update={"method": method})
    return train(base, made_tables(base, root / "cache"), recipe, folder=folder, resume=resume)


def held_out_loss(root: Path, adapter: Path | None = None) -> float:
    """Nats a learned token on the validation rows, of the base or with an adapter loaded from its files."""
    base = made_base(root / "tiny")
    table = made_tables(base, root / "cache")["validation"]
    model = base.model if adapter is None else load_adapter(base, adapter)
    adopt(base.model)
    paths = [ForestPath(table.tokens(row), table.weights(row), row, row) for row in range(len(table))]
    return -score_paths(model, paths).sum() / sum(float(path.weights.sum()) for path in paths)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ("prompt", "ptuning-lstm") else LONG) for name in CONFIGS]
)
def test_it_learns_and_loads_to_the_loss_it_had(name: str, root: Path, tmp_path: Path) -> None:
    trained = run(root, tmp_path, CONFIGS[name], epochs=4, learning_rate=RATES[name])
    assert trained.progress.best_loss < 0.8 * held_out_loss(root)
    assert held_out_loss(root, trained.adapter) == pytest.approx(trained.progress.best_loss, abs=1e-5)


@pytest.mark.parametrize(
    "name", [pytest.param("prompt", marks=LONG), "ptuning-lstm", pytest.param("prefix", marks=LONG)]
)
def test_interrupted_and_resumed_gives_the_same_bytes(name: str, root: Path, tmp_path: Path) -> None:
    def stop(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == 5 and "loss" in event.values:
            raise KeyboardInterrupt

    settings: dict[str, Any] = {"epochs": 1, "learning_rate": RATES[name], "checkpoint_every_s": 1e-9}
    whole = run(root, tmp_path / "whole", CONFIGS[name], **settings)
    base = made_base(root / "tiny")
    recipe = made_recipe(**settings).model_copy(update={"method": CONFIGS[name]})
    with pytest.raises(KeyboardInterrupt):
        train(base, made_tables(base, root / "cache"), recipe, folder=tmp_path / "cut", listener=stop)
    resumed = run(root, tmp_path / "cut", CONFIGS[name], resume=True, **settings)
    assert hash_folder(resumed.adapter) == hash_folder(whole.adapter)


def test_micro_batches_do_not_change_loss_and_gradient(root: Path, tmp_path: Path) -> None:
    first = [
        run(root, tmp_path / str(budget), prompt.Config(tokens=5), node_budget=budget, epochs=0.2).progress.train[0]
        for budget in (40, 4000)
    ]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
