"""Checkpoints under damage and on full disks."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch

from tunewright.base import events
from tunewright.base.errors import DiskFullError, WorkspaceError
from tunewright.train import checkpoint
from tunewright.train.checkpoint import Progress

FINGERPRINT = "this run"


def saved(folder: Path, *steps: int, numbers: int = 4) -> None:
    for step in steps:
        tensors = {"weights": {"w": torch.full((numbers,), float(step))}, "random": {"torch": torch.get_rng_state()}}
        progress = Progress(step=step, train=[(step, 0.5, 0.1, 1.0)], scores=[(step, {"accuracy": 0.5})])
        checkpoint.save(folder, progress, tensors, FINGERPRINT)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def damaged(place: Path) -> None:
    file = place / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    saved(tmp_path, 3, 5, 12)
    assert names(tmp_path) == ["step-00000005", "step-00000012"]
    found = checkpoint.latest(tmp_path, FINGERPRINT)
    assert found is not None
    assert found[0] == Progress(step=12, train=[(12, 0.5, 0.1, 1.0)], scores=[(12, {"accuracy": 0.5})])
    assert found[1]["weights"]["w"].tolist() == [12.0] * 4


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damaged, "weights.safetensors has changed"),
        (lambda place: (place / "weights.safetensors").unlink(), "No such file"),
        (lambda place: (place / "state.json").write_text("{"), "Expecting property name"),
        (lambda place: (place / "state.json").write_text("{}"), "hashes"),
        (lambda place: (place / "state.json").unlink(), "No such file"),
    ],
    ids=["bytes", "no weights", "half a state", "empty state", "no state"],
)
def test_a_damaged_one_is_passed_over_and_taken_out_of_the_way(tmp_path: Path, harm: object, said: str) -> None:
    saved(tmp_path, 5, 12)
    harm(tmp_path / "step-00000012")  # type: ignore[operator]
    heard: list[events.Event] = []
    found = checkpoint.latest(tmp_path, FINGERPRINT, heard.append)
    assert found is not None
    assert found[0].step == 5
    (message,) = heard
    assert isinstance(message, events.Message)
    assert message.level == "warning"
    assert "step-00000012 is damaged" in message.text
    assert said in message.text
    # Else the step, made again, would find its place taken and not be saved.
    saved(tmp_path, 12)
    assert checkpoint.newest_good(tmp_path) == tmp_path / "step-00000012"


def test_only_damaged_ones_are_an_error_and_stay(tmp_path: Path) -> None:
    saved(tmp_path, 5, 12)
    for place in tmp_path.iterdir():
        damaged(place)
    assert checkpoint.newest_good(tmp_path) is None
    with pytest.raises(WorkspaceError, match="All 2 checkpoints of this run are damaged"):
        checkpoint.latest(tmp_path, FINGERPRINT)
    assert names(tmp_path) == ["step-00000005", "step-00000012"]


def test_what_a_kill_left_half_written_is_never_read_and_cleared_away(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    shutil.copytree(tmp_path / "step-00000005", tmp_path / ".step-00000012.x1y2.part")
    found = checkpoint.latest(tmp_path, FINGERPRINT)
    assert found is not None
    assert found[0].step == 5
    assert names(tmp_path) == ["step-00000005"]


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path / "absent", FINGERPRINT) is None
    assert checkpoint.newest_good(tmp_path / "absent") is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_to_be_and_the_one_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    saved(tmp_path, 3, 5)
    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full)
        with pytest.raises(DiskFullError, match="finished work and checkpoints are kept"):
            saved(tmp_path, 12)
    assert names(tmp_path) == ["step-00000003", "step-00000005"]
    assert checkpoint.newest_good(tmp_path) == tmp_path / "step-00000005"
    saved(tmp_path, 12)
    assert names(tmp_path) == ["step-00000005", "step-00000012"]


def test_a_disk_that_fills_up_keeps_the_last_checkpoint(small_disk: Path) -> None:
    saved(small_disk, 3, numbers=100_000)  # 0.4 MB
    saved(small_disk, 5, numbers=100_000)
    with pytest.raises(DiskFullError, match="No space is left"):
        saved(small_disk, 12, numbers=100_000)
    assert names(small_disk) == ["step-00000003", "step-00000005"]
    found = checkpoint.latest(small_disk, FINGERPRINT)
    assert found is not None
    assert found[0].step == 5
