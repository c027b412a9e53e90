"""What the graders of a run may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Means:
    """What whoever starts a run lets its graders use.

    Args:
        project: Whose models they may ask.
        runs_python: Whether programs may be run.
        memory_bytes: What a process may hold of models in memory for them.
    """

    project: str = "default"
    runs_python: bool = False
    memory_bytes: int = 4 << 30
