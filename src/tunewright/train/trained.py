"""What training leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunewright.train.checkpoint import Progress
from tunewright.train.diagnosis import Diagnosis

_KEPT = "epoch-step-"


def kept_adapter(folder: Path, step: int) -> Path:
    """Where in a run's folder the adapter of an epoch's end is kept (`train.keep_epochs`)."""
    return folder / f"{_KEPT}{step:08d}"


def kept_adapters(folder: Path) -> dict[int, Path]:
    """The adapters that a run has kept of its epochs' ends so far, by the step after which they were, in order."""
    return {int(place.name.removeprefix(_KEPT)): place for place in sorted(folder.glob(f"{_KEPT}*"))}


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Args:
        adapter: Folder of the best adapter.
        progress: Its curves, and where the best was.
        steps: Steps that were planned.
        stopped_early: Whether patience ran out before them.
        trainable: Number of trained weights.
        diagnosis: Whether the curves tell of too much or too little training, and what to change.
        seconds: Time in this process, in seconds; a resumed run counts from its resume.
    """

    adapter: Path
    progress: Progress
    steps: int
    stopped_early: bool
    trainable: int
    diagnosis: Diagnosis
    seconds: float
