"""The loop learns, repeats itself to the bit, survives a kill, and stops where it should."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.made import made_base, made_examples, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import DataError, TrainingDivergedError, WorkspaceError
from tunewright.base.files import hash_folder, read_json
from tunewright.data.tokens import tokenize
from tunewright.forest.layout import adopt
from tunewright.models.adapters import load_adapter
from tunewright.train import train

WORKER = """
import sys
from pathlib import Path
from tests.train.made import made_base, made_recipe, made_tables
from tunewright.train import train
root, folder, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
base = made_base(root / "tiny")
train(base, made_tables(base, root / "cache"), made_recipe(epochs=5, checkpoint_every_s=0.01), folder=folder,
      resume=mode == "resume", listener=lambda event: print(event, flush=True))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    made_base(folder / "tiny")
    return folder


def run(root: Path, folder: Path, **changes: Any) -> Any:
    heard: list[events.Event] = []
    base = made_base(root / "tiny")
    recipe = made_recipe(**changes)
    result = train(base, made_tables(base, root / "cache"), recipe, folder=folder, listener=heard.append)
    return result, heard, base


def test_it_learns_and_the_saved_adapter_is_the_best_one(root: Path, tmp_path: Path) -> None:
    trained, heard, _ = run(root, tmp_path, epochs=8)
    losses = [loss for _, loss, _, _ in trained.progress.train]
    validation = dict(trained.progress.validation)
    assert losses[-1] < 0.7 * losses[0]
    assert trained.progress.best_loss == min(validation.values()) == validation[trained.progress.best_step]
    assert {"adapter_model.safetensors", "adapter_config.json", "tunewright.json"} == {
        file.name for file in trained.adapter.iterdir()
    }
    steps = [e.step for e in heard if isinstance(e, events.Metrics) and "loss" in e.values]
    assert steps == list(range(1, trained.steps + 1))
    assert read_json(trained.adapter / "adapter_config.json")["target_modules"] == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )


def test_saved_adapter_gives_the_validation_loss_again(root: Path, tmp_path: Path) -> None:
    from tunewright.forest import score_paths
    from tunewright.train.rows import learned_paths

    trained, _, _ = run(root, tmp_path, epochs=2)
    base = made_base(root / "tiny")
    model = load_adapter(base, trained.adapter)
    adopt(base.model)
    from tunewright.objectives import sft

    paths = learned_paths(sft.build(sft.Config()), made_tables(base, root / "cache")["validation"])
    weight = sum(float(path.weights.sum()) for path in paths)
    assert -score_paths(model, paths).sum() / weight == pytest.approx(trained.progress.best_loss, abs=1e-5)


def test_micro_batches_do_not_change_the_first_steps_loss_and_gradient(root: Path, tmp_path: Path) -> None:
    small, _, _ = run(root, tmp_path / "small", node_budget=40, epochs=0.2)
    large, _, _ = run(root, tmp_path / "large", node_budget=4000, epochs=0.2)
    assert small.progress.train[0] == pytest.approx(large.progress.train[0], rel=1e-5)


@pytest.mark.long
def test_killed_and_resumed_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    def work(folder: Path, mode: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(root), str(folder), mode]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())

    whole = work(tmp_path / "whole", "start")
    assert whole.communicate()[0]
    assert whole.returncode == 0
    killed = work(tmp_path / "killed", "start")
    assert killed.stdout
    for line in killed.stdout:
        if "step=17" in line:
            os.kill(killed.pid, signal.SIGKILL)
            break
    killed.wait()
    assert not (tmp_path / "killed" / "adapter").exists()
    assert list((tmp_path / "killed" / "checkpoints").glob("step-*"))
    resumed = work(tmp_path / "killed", "resume")
    said = resumed.communicate()[0]
    assert "Resumed after step" in said
    assert "step=1," not in said
    assert hash_folder(tmp_path / "killed" / "adapter") == hash_folder(tmp_path / "whole" / "adapter")


def test_interrupt_keeps_a_checkpoint_of_the_step_at_hand(root: Path, tmp_path: Path) -> None:
    def stop(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == 7 and "loss" in event.values:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

    base = made_base(root / "tiny")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(base, made_tables(base, root / "cache"), made_recipe(epochs=4), folder=tmp_path, listener=stop)
    assert [place.name for place in (tmp_path / "checkpoints").iterdir()] == ["step-00000007"]
    assert signal.getsignal(signal.SIGINT) is before


def test_damaged_checkpoint_falls_back_to_the_one_before(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path, epochs=1, checkpoint_every_s=0.001)
    newest, before = sorted((tmp_path / "checkpoints").iterdir(), reverse=True)
    whole = hash_folder(tmp_path / "adapter")
    shutil.rmtree(tmp_path / "adapter")
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"damaged!")
    heard: list[events.Event] = []
    base = made_base(root / "tiny")
    recipe = made_recipe(epochs=1, checkpoint_every_s=0.001)
    train(base, made_tables(base, root / "cache"), recipe, folder=tmp_path, resume=True, listener=heard.append)
    said = [event.text for event in heard if isinstance(event, events.Message)]
    assert any("weights.safetensors has changed" in text for text in said)
    assert int(before.name[5:]) < int(newest.name[5:])
    assert hash_folder(tmp_path / "adapter") == whole


def test_resume_with_another_recipe_is_refused(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path, epochs=1)
    base = made_base(root / "tiny")
    with pytest.raises(WorkspaceError, match="another recipe"):
        train(
            base,
            made_tables(base, root / "cache"),
            made_recipe(epochs=1, learning_rate=0.5),
            folder=tmp_path,
            resume=True,
        )


def test_patience_stops_a_run_that_gets_worse(root: Path, tmp_path: Path) -> None:
    trained, _, _ = run(root, tmp_path, epochs=40, learning_rate=3.0, validate_every=1, patience=2, clip_norm=100.0)
    assert trained.stopped_early
    assert trained.progress.waited == 2
    assert trained.progress.step < trained.steps


def test_a_loss_that_is_no_number_names_step_and_rows(root: Path, tmp_path: Path) -> None:
    base = made_base(root / "tiny")
    adopt(base.model)  # which would notice
    with torch.no_grad():
        base.model.model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(TrainingDivergedError, match=r"step 1: The loss is not a finite number \(rows row-\d+"):
        train(base, made_tables(base, root / "cache"), made_recipe(), folder=tmp_path)


def test_nothing_to_learn_is_refused(root: Path, tmp_path: Path) -> None:
    base = made_base(root / "tiny")
    table = tokenize(made_examples(0), base.chat, key="none", cache=tmp_path, max_length=64)
    with pytest.raises(DataError, match="No training row has a token to learn"):
        train(base, {"train": table}, made_recipe(), folder=tmp_path)
