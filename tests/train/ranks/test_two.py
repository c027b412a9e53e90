"""Two processes on gloo train what one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from tests.train.ranks.worker import cases, work
from tunewright.base.files import hash_folder, read_json
from tunewright.train.ranks.group import ALONE

pytestmark = pytest.mark.slow
_EQUAL = ("sft", "idle", "dpo", "replay", "sharded", "sharded-dpo", "sharded-full")
_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, by this process and then by two that torchrun starts."""
    folder = tmp_path_factory.mktemp("ranks")
    for case in cases(folder):
        if case.name in (*_EQUAL, "grpo"):
            work(case, folder, ALONE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "tests.train.ranks.worker", str(folder)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def curves(folder: Path, name: str, world: int, rank: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder / f"{name}-{world}" / f"curves-{rank}.json")
    return found


@pytest.mark.parametrize("name", _EQUAL)
def test_two_processes_give_what_one_gives(trained: Path, name: str) -> None:
    one, two = curves(trained, name, 1), curves(trained, name, 2)
    first_one, first_two = one["train"][0], two["train"][0]
    assert first_two[1] == pytest.approx(first_one[1], rel=1e-6)  # the loss
    assert first_two[3] == pytest.approx(first_one[3], rel=1e-5)  # the gradient's length
    assert [row[1] for row in two["train"]] == pytest.approx([row[1] for row in one["train"]], rel=1e-4, abs=1e-6)
    assert [row[2] for row in two["train"]] == [row[2] for row in one["train"]]  # the rates
    for (step, loss), (at, expected) in zip(two["validation"], one["validation"], strict=True):
        assert (step, loss) == (at, pytest.approx(expected, rel=1e-4, abs=1e-6))
    assert two["scores"] == one["scores"]
    assert (two["best"][0], two["stopped"]) == (one["best"][0], one["stopped"])
    for step, expected in zip(two["told"], one["told"], strict=True):
        step, expected = dict(step), dict(expected)
        # What a border between two shares runs through is computed on both sides.
        assert expected["nodes"] <= step.pop("nodes") <= 2 * expected.pop("nodes")
        assert step == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_two_processes_draw_what_one_draws_and_the_first_grades(trained: Path) -> None:
    one, two = curves(trained, "grpo", 1), curves(trained, "grpo", 2)
    draws = [[pl.read_parquet(file) for file in sorted((trained / f"grpo-{n}" / "draws").iterdir())] for n in (1, 2)]
    for alone, shared in zip(*draws, strict=True):
        assert len(alone) == 3 * 4
        assert shared.drop("logp").equals(alone.drop("logp"))
        logps = [[value for answer in each["logp"] for value in answer] for each in (shared, alone)]
        assert logps[0] == pytest.approx(logps[1], abs=1e-4)
    assert (two["rewards"], two["scores"]) == (one["rewards"], one["scores"])
    assert len(one["rewards"]) == len(one["scores"]) == 2
    for step, expected in zip(two["train"], one["train"], strict=True):
        assert step[1:] == pytest.approx(expected[1:], rel=1e-4, abs=1e-6)  # loss, rate and gradient's length
    told = [{name: value for name, value in step.items() if name != "nodes"} for step in (*two["told"], *one["told"])]
    assert told[1] == pytest.approx(told[3], rel=1e-4, abs=1e-5)
    assert told[1]["kl"] > 0


@pytest.mark.parametrize("name", _EQUAL)
def test_the_adapters_are_alike(trained: Path, name: str) -> None:
    one, two = (load_file(next((trained / f"{name}-{n}" / "adapter").glob("*.safetensors"))) for n in (1, 2))
    assert one.keys() == two.keys()
    away = torch.stack([(one[key] - two[key]).norm() for key in one]).norm()
    assert away <= 1e-5 * torch.stack([weight.norm() for weight in one.values()]).norm()


@pytest.mark.parametrize("name", [*_EQUAL, "grpo"])
def test_all_processes_know_the_same(trained: Path, name: str) -> None:
    assert curves(trained, name, 2, rank=0) == curves(trained, name, 2, rank=1)


@pytest.mark.parametrize(("whole", "resumed"), [("whole", "resumed"), ("sharded-full", "sharded-resumed")])
def test_interrupted_and_resumed_gives_the_same_bytes(trained: Path, whole: str, resumed: str) -> None:
    assert len(curves(trained, resumed, 2)["told"]) < len(curves(trained, whole, 2)["told"])
    assert hash_folder(trained / f"{resumed}-2" / "adapter") == hash_folder(trained / f"{whole}-2" / "adapter")


def test_each_process_draws_its_own_noise(trained: Path) -> None:
    random = load_file(next((trained / "whole-2" / "checkpoints").glob("*/random.safetensors")))
    assert not torch.equal(random["torch"], random["torch.1"])


def test_each_process_holds_its_share_of_the_layers(trained: Path) -> None:
    assert [curves(trained, name, 2)["held"] for name in ("sft", "sharded", "sharded-dpo")] == [1, 0.5, 0.5]
    assert curves(trained, "sharded", 1)["held"] == 1  # there is nobody to share with


def test_the_cases_are_what_they_are_meant_to_be(trained: Path) -> None:
    assert curves(trained, "idle", 1)["stopped"]
    assert curves(trained, "replay", 1)["scores"][-1][1]["score"] >= 1
    assert curves(trained, "replay", 1)["told"][-1]["anchor"] > 0
    assert curves(trained, "dpo", 1)["told"][-1]["margin"] > 0
