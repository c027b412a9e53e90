"""Checkpoints that are whole or absent, and checked before they are used."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunewright.base import events
from tunewright.base.errors import WorkspaceError
from tunewright.base.files import atomic_directory, hash_file, read_json, write_json

FOLDER = "checkpoints"  # in a run's own
KEPT = 2  # the newest, and one to fall back on should it be damaged


@dataclass
class Progress:
    """All of a run that is not a tensor.

    Args:
        step: Steps done.
        best_step: The step whose validation is the best so far; 0 before the first.
        best_loss: Its validation loss, in nats a token.
        best_standing: What it is the best by, the higher the better: that loss, negative, or a score.
        waited: Validations since then.
        tokens: Tokens of all rows of all steps, those of a row that is met again among them.
        train: One entry a step: step, loss, learning rate, gradient norm.
        validation: One entry a validation: step, loss.
        scores: One entry a validation, where the pipeline scores the model: step, scores by name.
        rewards: One entry a step, where answers are drawn: step, their mean reward.
    """

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    best_standing: float | None = None
    waited: int = 0
    tokens: int = 0
    train: list[tuple[int, float, float, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    scores: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    rewards: list[tuple[int, float]] = field(default_factory=list)


def save(
    folder: Path, progress: Progress, tensors: Mapping[str, Mapping[str, Any]], fingerprint: str, *, kin: str = ""
) -> None:
    """Writes a checkpoint and removes all but the newest two.

    Args:
        tensors: File name (without suffix) to named tensors: weights, optimiser, random states, best weights.
        fingerprint: What the run is about; a resume with another one is refused.
        kin: What other runs must share to begin from this checkpoint.
    """
    from safetensors.torch import save_file

    place = folder / f"step-{progress.step:08d}"
    if not place.exists():
        with atomic_directory(place) as temporary:
            for name, group in tensors.items():
                save_file({key: value.contiguous() for key, value in group.items()}, temporary / f"{name}.safetensors")
            hashes = {file.name: hash_file(file) for file in sorted(temporary.iterdir())}
            state = {"progress": asdict(progress), "fingerprint": fingerprint, "kin": kin, "hashes": hashes}
            write_json(temporary / "state.json", state)
    for old in _newest_first(folder)[KEPT:]:
        shutil.rmtree(old)


def latest(
    folder: Path, fingerprint: str, listener: events.Listener = events.ignore
) -> tuple[Progress, dict[str, dict[str, Any]]] | None:
    """The newest checkpoint that is undamaged, or None where there is none at all.

    Raises:
        WorkspaceError: If it belongs to another recipe, or if there are only damaged ones.
    """
    places = _newest_first(folder)
    damaged: list[Path] = []
    for place in places:
        fault = _fault(place)
        if fault:
            listener(events.Message(f"Checkpoint {place.name} is damaged ({fault}); trying the one before.", "warning"))
            damaged.append(place)
            continue
        state = read_json(place / "state.json")
        if state["fingerprint"] != fingerprint:
            raise WorkspaceError(
                "This run's checkpoint was made with another recipe, dataset or base model",
                where=str(place),
                hint="Resume with what the run was started with, or start a new run.",
            )
        # Out of the way: their steps are made again, and saved. So is what a kill left half written.
        for useless in (*damaged, *folder.glob(".step-*.part")):
            shutil.rmtree(useless)
        return _read(place, state)
    if places:
        raise WorkspaceError(
            f"All {len(places)} checkpoints of this run are damaged", where=str(folder), hint="Start a new run."
        )
    return None


def borrow(folder: Path, kin: str) -> tuple[Progress, dict[str, dict[str, Any]]]:
    """The newest undamaged checkpoint of another run, which is left as it is.

    Raises:
        WorkspaceError: If there is none, or if the runs differ in what such a checkpoint means.
    """
    place = newest_good(folder)
    if place is None:
        raise WorkspaceError("This run has no checkpoint to begin from", where=str(folder), hint="Start a new run.")
    state = read_json(place / "state.json")
    if state.get("kin") != kin:
        raise WorkspaceError(
            "This checkpoint was made with another method, dataset, base model, optimiser or order of the rows",
            where=str(place),
            hint="Between the runs only the rate, its schedule and the like may differ.",
        )
    return _read(place, state)


def discard(folder: Path, *, since: int) -> None:
    """Removes the checkpoints of a step and of all later ones: whoever resumed there would come apart at once."""
    for place in _newest_first(folder):
        if step_of(place) >= since:
            shutil.rmtree(place)


def newest_good(folder: Path) -> Path | None:
    """The newest checkpoint that is undamaged; None where there is none."""
    return next((place for place in _newest_first(folder) if not _fault(place)), None)


def step_of(place: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(place.name.removeprefix("step-"))


def _read(place: Path, state: dict[str, Any]) -> tuple[Progress, dict[str, dict[str, Any]]]:
    from safetensors.torch import load_file

    values = state["progress"]
    for curve in ("train", "validation", "scores", "rewards"):
        values[curve] = [tuple(row) for row in values.get(curve, ())]
    tensors = {Path(name).stem: load_file(place / name) for name in state["hashes"]}
    return Progress(**values), tensors


def _fault(place: Path) -> str:
    """What is wrong with a checkpoint's files; empty if nothing is."""
    try:
        state = read_json(place / "state.json")
        for name, expected in state["hashes"].items():
            if hash_file(place / name) != expected:
                return f"{name} has changed"
    except (OSError, ValueError, KeyError) as error:
        return str(error)
    return ""


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)
