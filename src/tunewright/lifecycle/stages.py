"""The stages of a run, in order. Each is callable alone: it does those before it first, unless they are done.

with start("recipe.yaml") as job:
    dataset = prepare(job)
    adapter = train(job)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunewright.lifecycle.job import Job, start
from tunewright.lifecycle.measuring import Measured, evaluate
from tunewright.lifecycle.preparing import preflight, prepare
from tunewright.lifecycle.release import Released, release
from tunewright.lifecycle.reporting import Report, report
from tunewright.lifecycle.training import Adapter, train

STAGES: dict[str, Callable[[Job], Any]] = {
    "prepare": prepare,
    "preflight": preflight,
    "train": train,
    "evaluate": evaluate,
    "release": release,
    "report": report,
}

__all__ = [
    "STAGES",
    "Adapter",
    "Job",
    "Measured",
    "Released",
    "Report",
    "evaluate",
    "preflight",
    "prepare",
    "release",
    "report",
    "start",
    "train",
]
