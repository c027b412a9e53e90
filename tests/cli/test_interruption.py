"""Ctrl-C, kill and crowding: what was finished is kept, and a resumed run ends in the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import spawn, tunewright
from tests.lifecycle.world import make_world
from tunewright.store import Workspace

_PATIENCE_S = 120


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training long enough to be interrupted, with a checkpoint every instant."""
    train = {
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "dtype": "float32",
        "checkpoint_every_s": 0.001,
        "patience": 999,
    }
    return make_world(tmp_path_factory.mktemp("world"), rows=300, train=train)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """As many threads here as in the processes started: sums over more are rounded elsewhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def wait_for_checkpoint(workspace: Path, process: subprocess.Popen[str]) -> None:
    """Waits until training has got as far as its tenth step."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if any(int(place.name[5:]) >= 10 for place in workspace.glob("runs/*/checkpoints/step-*")):
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.02)
    raise AssertionError("no checkpoint came")


def adapter_bytes(workspace: Path) -> bytes:
    (stored,) = Workspace.open(workspace).artifacts("adapter")
    return (stored.path / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(world: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("calm")
    outcome = tunewright("train", world, "--workspace", place, "--json")
    assert outcome.code == 0, outcome.err
    assert (Path(outcome.document["path"]) / "adapter_model.safetensors").exists()
    assert not list(place.glob("runs/*/checkpoints"))
    return adapter_bytes(place)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="interrupted"),
        # In `make test`, jobs are killed: tests/lifecycle/jobs/test_kills.py.
        pytest.param(signal.SIGKILL, -9, id="killed", marks=pytest.mark.long),
    ],
)
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(
    number: signal.Signals, code: int, world: Path, uninterrupted: bytes, tmp_path: Path
) -> None:
    place = tmp_path / "ws"
    process = spawn("train", world, "--workspace", place, cwd=tmp_path)
    wait_for_checkpoint(place, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == code, err
    (run,) = Workspace.open(place).runs()
    assert run.status == "interrupted"
    if number != signal.SIGKILL:
        assert "Traceback" not in err
        assert f"--resume {run.id}" in err.splitlines()[-1]
    resumed = tunewright("train", world, "--workspace", place, "--resume")
    assert resumed.code == 0, resumed.err
    assert "prepare: skipped" in resumed.err
    assert "Resumed after step" in resumed.err
    assert [run.status for run in Workspace.open(place).runs()] == ["succeeded"]
    assert adapter_bytes(place) == uninterrupted


@pytest.mark.long
def test_the_system_may_end_a_run_as_tidily(world: Path, tmp_path: Path) -> None:
    process = spawn("run", world, "--workspace", tmp_path / "ws", "--json", cwd=tmp_path)
    wait_for_checkpoint(tmp_path / "ws", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode in (130, 143), err
    assert json.loads(out)["error"]["type"] == "Interrupted"
    assert "Traceback" not in err


@pytest.mark.long
def test_two_runs_in_one_workspace_at_once(world: Path, tmp_path: Path) -> None:
    settings = ("--set", "train.epochs=0.5", "--set", "evaluate.systems=[base]", "--json")
    workspace = ("--workspace", tmp_path / "ws")
    both = [spawn("run", world, *workspace, "--set", f"seed={seed}", *settings, cwd=tmp_path) for seed in (1, 2)]
    ends = [process.communicate(timeout=_PATIENCE_S) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert {json.loads(out)["release"] for out, _ in ends} == {"colours@1", "colours@2"}
    assert [run.status for run in Workspace.open(tmp_path / "ws").runs()] == ["succeeded", "succeeded"]


def test_another_recipe_does_not_take_over_a_run(world: Path, tmp_path: Path) -> None:
    workspace = ("--workspace", tmp_path / "ws", "--set", "train.epochs=0.2")
    assert tunewright("train", world, *workspace).code == 0
    outcome = tunewright("train", world, *workspace, "--set", "train.learning_rate=0.5", "--resume")
    assert outcome.code == 2
    assert "train.learning_rate: was 0.002, is 0.5" in outcome.err
    assert tunewright("train", world, *workspace, "--resume").code == 0
