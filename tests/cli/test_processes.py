"""One command, several processes: Ctrl-C and a killed process keep what was finished, and none is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.cli.command import spawn, tunewright
from tests.lifecycle.world import make_world
from tunewright.store import Workspace

_PATIENCE_S = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training long enough to be interrupted, with a checkpoint every instant."""
    train = {
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "dtype": "float32",
        "checkpoint_every_s": 0.001,
        "patience": 999,
    }
    return make_world(tmp_path_factory.mktemp("world"), rows=200, train=train)


def adapter(workspace: Path) -> dict[str, torch.Tensor]:
    (stored,) = Workspace.open(workspace).artifacts("adapter")
    return load_file(stored.path / "adapter_model.safetensors")


def length(tensors: Sequence[torch.Tensor]) -> float:
    return float(sum(tensor.square().sum() for tensor in tensors) ** 0.5)


def wait_for_checkpoint(workspace: Path, process: subprocess.Popen[str]) -> None:
    """Waits until training has got as far as its tenth step."""
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if any(int(place.name[5:]) >= 10 for place in workspace.glob("runs/*/checkpoints/step-*")):
            return
        time.sleep(0.02)
    process.kill()
    raise AssertionError(process.communicate())


def ranks_of(launcher: int) -> dict[int, psutil.Process]:
    """The processes that a launcher has started, by their ranks."""
    found = {}
    for child in psutil.Process(launcher).children():
        found[int(child.environ()["RANK"])] = child
    return found


def assert_gone(processes: Sequence[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_process_ends_the_run_and_resuming_gives_what_one_process_gives(world: Path, tmp_path: Path) -> None:
    place = tmp_path / "ws"
    process = spawn("train", world, "--workspace", place, "--processes", "2", "--json", cwd=tmp_path)
    wait_for_checkpoint(place, process)
    ranks = ranks_of(process.pid)
    assert sorted(ranks) == [0, 1]
    killed_at = time.monotonic()
    os.kill(ranks[1].pid, signal.SIGKILL)
    out, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 3, err
    assert time.monotonic() - killed_at < 60
    error = json.loads(out)["error"]
    assert error["type"] == "RankLostError"
    assert error["what"].startswith("Process 1 of 2")
    assert "--resume" in error["hint"]
    assert "Traceback" not in err
    assert_gone(list(ranks.values()))
    (run,) = Workspace.open(place).runs()
    assert run.status == "failed"

    resumed = tunewright("train", world, "--workspace", place, "--resume")  # in this one process
    assert resumed.code == 0, resumed.err
    assert "processes 2 is now 1" in resumed.err
    assert "Resumed after step" in resumed.err
    alone = tunewright("train", world, "--workspace", tmp_path / "alone")
    assert alone.code == 0, alone.err
    found, expected = adapter(place), adapter(tmp_path / "alone")
    assert found.keys() == expected.keys()
    away = length([found[name] - expected[name] for name in found])
    assert away <= 1e-5 * length(list(expected.values()))


@pytest.mark.slow
@pytest.mark.long
def test_ctrl_c_reaches_all_processes_and_keeps_a_checkpoint(world: Path, tmp_path: Path) -> None:
    place = tmp_path / "ws"
    process = spawn("train", world, "--workspace", place, "--set", "train.processes=2", cwd=tmp_path)
    wait_for_checkpoint(place, process)
    ranks = ranks_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.count("train: started") == 1  # one process speaks
    assert_gone(list(ranks.values()))
    (run,) = Workspace.open(place).runs()
    assert run.status == "interrupted"
    assert f"--resume {run.id}" in err.splitlines()[-1]
    assert list((run.folder / "checkpoints").glob("step-*"))


def test_what_the_recipe_asks_for_and_what_there_is_must_agree(world: Path, tmp_path: Path) -> None:
    from tunewright.base.errors import RecipeError
    from tunewright.lifecycle.job import start
    from tunewright.recipe import load_recipe

    recipe = load_recipe(world, ["train.processes=2"])
    with (
        pytest.raises(RecipeError, match=r"train\.processes: The recipe asks for 2 processes, and there is one"),
        start(recipe, workspace=tmp_path / "ws"),
    ):
        raise AssertionError
    assert not (tmp_path / "ws").exists()
