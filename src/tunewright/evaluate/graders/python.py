"""Runs a program that scores: a function `grade(sample, item)` that returns a number.

Off unless whoever runs the server allows it. The program runs in a process of its own, with nothing inherited, no
network, no files but its own folder, and limits on time and memory; `metrics/_sandbox.py` says what holds it and what
does not: hooks are a fence against accidents, and no wall against an attacker.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Literal

from pydantic import Field, field_validator

from tunewright.evaluate.graders._contract import Graded, GraderConfig, GradingError, Kit
from tunewright.evaluate.graders._templates import Look

TIMEOUT_S = 30.0
MEMORY_BYTES = 1 << 30
_LONGEST = 256 << 10
# Rows are graded many at once: of programs as many as there are processors, so that their time is their own.
_PLACES = threading.BoundedSemaphore(os.cpu_count() or 1)

_ASK = """

import json as _json
_sample, _item = _json.loads({given!r})
answer = float(grade(_sample, _item))
"""


class Config(GraderConfig):
    """Settings of a program that scores."""

    type: Literal["python"] = "python"
    source: str = Field(max_length=_LONGEST)
    image_tag: str | None = None
    pass_threshold: float | None = None

    @field_validator("source")
    @classmethod
    def _is_python(cls, source: str) -> str:
        try:
            compile(source, "<grader>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"source is no Python program: {error}") from error
        return source

    def runs_code(self) -> bool:
        """It does."""
        return True


def grade(config: Config, look: Look, kit: Kit) -> Graded:
    """What the program's `grade(sample, item)` returns; it passes from the threshold on, a half where none is given."""
    if not kit.runs_python:
        raise GradingError(
            "python_grader_server_error",
            "Programs are not run here: python graders are turned off",
            where=config.name,
            hint="Whoever runs the server can turn them on, for callers who may run code on its machine.",
        )
    from tunewright.metrics._sandbox import run_program

    given = json.dumps([look.sample or {}, look.item])
    with _PLACES:
        ran = run_program(
            config.source + _ASK.format(given=given), timeout_s=TIMEOUT_S, memory_bytes=MEMORY_BYTES, answers=True
        )
    if not ran.passed:
        raise GradingError("python_grader_runtime_error", f"The program failed: {ran.why}", where=config.name)
    try:
        score = float(json.loads(ran.answer))
    except (ValueError, TypeError) as error:
        raise GradingError(
            "python_grader_runtime_error", f"The program's score is no number: {ran.answer[:100]}", where=config.name
        ) from error
    threshold = 0.5 if config.pass_threshold is None else config.pass_threshold
    return Graded(score, score >= threshold)
