"""A run that comes apart names what is left, and the command it prints goes on from there."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Outcome, tunewright
from tests.lifecycle.world import make_world
from tunewright.store import Workspace
from tunewright.train import loop

RATE = 0.004
# Six steps, and a checkpoint after each.
QUICK = ("--set", "train.checkpoint_every_s=0.0001", "--set", f"train.learning_rate={RATE}")
AFTER = ("--set", "evaluate.systems=[]", "--set", "evaluate.limit=4")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


@pytest.fixture
def too_high(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fourth step is one of 1e30 at any rate above half of this one."""
    explode_at(4, monkeypatch)


def explode_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop.learning_rate

    def rate(step: int, steps: int, peak: float, config: Any) -> float:
        return 1e30 if step + 1 == number and peak > 0.6 * RATE else real(step, steps, peak, config)

    monkeypatch.setattr(loop, "learning_rate", rate)


def printed_command(outcome: Outcome) -> list[str]:
    """The arguments of the command at the end of stderr."""
    return shlex.split(outcome.err.strip().splitlines()[-1].partition(" half the rate: ")[2])[1:]


@pytest.mark.usefixtures("too_high")
def test_the_printed_command_goes_on_from_the_last_good_checkpoint(world: Path, tmp_path: Path) -> None:
    place = ("--workspace", str(tmp_path / "ws"))
    failed = tunewright("run", world, *QUICK, *AFTER, *place)
    assert failed.code == 3
    # Step 4 makes weights with which nothing can be computed: its checkpoint is not a good one.
    assert "step 4: The validation loss is not a finite number (rows " in failed.err
    assert "step-00000003.\nGo on from there at half the rate: " in failed.err
    workspace = Workspace.open(tmp_path / "ws")
    (old,) = workspace.runs()
    assert old.status == "failed"
    line = printed_command(failed)
    assert line[-4:] == ["--from-checkpoint", old.id, "--set", "train.learning_rate=0.002"]
    assert f"train.learning_rate={RATE}" not in line

    outcome = tunewright(*line, "--json")
    assert outcome.code == 0, outcome.err
    began = f"step 3 of run {old.id} (train.learning_rate: was 0.004, is 0.002)"
    assert f"This run begins at {began}." in outcome.err
    new = workspace.find_run(outcome.document["run"])
    before, after = ({e.step: e.values for e in run.events("metrics") if "loss" in e.values} for run in (old, new))
    assert list(after) == [4, 5, 6]
    assert after[4]["loss"] == before[4]["loss"]  # the same weights, on the same rows
    assert 0 < after[4]["learning_rate"] < 0.002
    assert began in Path(outcome.document["report"]).read_text(encoding="utf-8")
    found = tunewright("models", "lineage", "colours", *place, "--json").document["continued_from"]
    assert (found["run"], found["step"]) == (old.id, 3)
    assert f"began at step 3 of run {old.id}" in tunewright("models", "lineage", "colours", *place).out


def test_without_a_good_checkpoint_it_starts_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explode_at(1, monkeypatch)
    failed = tunewright("train", world, *QUICK, "--workspace", tmp_path / "ws", "--json")
    assert failed.code == 3
    hint = failed.document["error"]["hint"]
    assert "no checkpoint was written yet. Start again at half the rate: " in hint
    assert "--from-checkpoint" not in hint
    assert tunewright(*printed_command(failed)).code == 0


@pytest.mark.usefixtures("too_high")
def test_what_a_checkpoint_does_not_fit_is_refused(world: Path, tmp_path: Path) -> None:
    place = ("--workspace", str(tmp_path / "ws"))
    assert tunewright("train", world, *QUICK, *place).code == 3
    begin = ("train", world, *QUICK, *place, "--from-checkpoint", "colours")
    for arguments, words in (
        (("--set", "method.rank=2"), ("method.rank: was 4, is 2", "may not")),
        (("--set", "train.batch_size=8", "--set", "train.clip_norm=2"), ("train.batch_size: was 16, is 8",)),
        (("--resume",), ("checkpoints of its own", "Leave --from-checkpoint out")),
    ):
        outcome = tunewright(*begin, *arguments)
        assert outcome.code == 2
        assert all(word in outcome.err for word in words), outcome.err
        assert "clip_norm" not in outcome.err
    unknown = tunewright("train", world, *place, "--from-checkpoint", "colour")
    assert unknown.code == 2
    assert "Did you mean 'colours'?" in unknown.err
    assert len(tunewright("runs", "list", *place, "--json").document) == 1, "nothing was changed"


def test_a_finished_run_has_no_checkpoint_to_begin_from(world: Path, tmp_path: Path) -> None:
    place = ("--workspace", str(tmp_path / "ws"))
    assert tunewright("train", world, *QUICK, *place).code == 0
    outcome = tunewright("train", world, *QUICK, *place, "--from-checkpoint", "colours")
    assert outcome.code == 2
    assert "no checkpoint to begin from" in outcome.err
