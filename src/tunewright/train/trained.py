"""What training leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunewright.train.checkpoint import Progress
from tunewright.train.diagnosis import Diagnosis


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
