"""pass@k: how likely at least one of k answers is a program that passes its tests.

The unbiased estimator of Chen et al. 2021 (arXiv:2107.03374): of n drawn answers c pass, so pass@k is
1 - C(n - c, k) / C(n, k). Answers are run, in a process of their own (`metrics/_sandbox.py` says what holds them and
what does not), and so only where the recipe says `runs_code: true`. The tests come from a column of the row: Python
that raises where an answer is wrong. Of an answer with fenced code blocks the last Python one is run, else all of it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, name_ids, require_answers
from tunewright.metrics._measure import Measure
from tunewright.metrics._sandbox import Ran, network_of, run_program

NEEDS_REFERENCE = False
ABOUT = {
    "pass_at_*": About("Passes its tests, of *", "at least one of * drawn answers is a program that passes its tests")
}

_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_PYTHON = ("", "py", "python", "python3")


class Config(PluginConfig):
    """Settings of pass@k."""

    name: Literal["pass_at_k"] = "pass_at_k"
    runs_code: bool = Field(False, description="Must be true: the models' programs are run on this machine.")
    k: tuple[int, ...] = Field((1,), min_length=1, description="Of how many answers one must pass.")
    tests: str = Field("test", min_length=1, description="The column with the tests that run behind the answer.")
    before: str = Field("", description="A column with what stands in front of the answer; empty: nothing.")
    timeout_s: float = Field(10.0, gt=0, le=600, description="Seconds that a program may take.")
    memory_mb: int = Field(1024, ge=128, description="Memory that a program may have.")

    @model_validator(mode="after")
    def _is_allowed(self) -> Self:
        if not self.runs_code:
            raise ValueError("pass_at_k runs the programs that models write: set runs_code to true if that may be")
        if min(self.k) < 1:
            raise ValueError("k is at least 1")
        return self


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """`pass_at_<k>` for each k: the estimate for each question; reduced to the mean.

    Raises:
        DataError: If a row has no tests, or fewer answers than k; names them.
    """
    require_answers(config.name, answers)
    _check(config, answers)
    programs = [[_program(config, answer, text) for text in (answer.prediction, *answer.samples)] for answer in answers]
    different = list(dict.fromkeys(program for several in programs for program in several))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ran = dict(zip(different, pool.map(lambda program: _run(program, config), different), strict=True))
    counts = [(len(several), sum(ran[program].passed for program in several)) for several in programs]
    note = f"network kept away by {network_of()}"
    return [
        Measure(f"pass_at_{k}", np.array([estimate(n, right, k) for n, right in counts]), note=note)
        for k in dict.fromkeys(config.k)
    ]


def names(config: Config) -> list[str]:
    """A name for each k."""
    return [f"pass_at_{k}" for k in dict.fromkeys(config.k)]


def estimate(n: int, right: int, k: int) -> float:
    """Of n answers, `right` pass: the probability that one of k drawn without putting back does (Chen et al. 2021)."""
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)


def code_of(answer: str) -> str:
    """The program in an answer: its last fenced block of Python, or all of it."""
    blocks = [code for _, language, code in _FENCED.findall(answer) if language.lower() in _PYTHON]
    return str(blocks[-1]) if blocks else answer


def _check(config: Config, answers: Sequence[Answer]) -> None:
    for column in filter(None, (config.tests, config.before)):
        if lacking := [answer.id for answer in answers if column not in answer.columns]:
            raise DataError(
                f"Rows without a column '{column}': {name_ids(lacking)}",
                where=config.name,
                hint="Name the column with the tests under `tests`, and what stands in front under `before`.",
            )
    if few := [answer.id for answer in answers if 1 + len(answer.samples) < max(config.k)]:
        raise DataError(
            f"pass@{max(config.k)} needs as many answers to each question; fewer have: {name_ids(few)}",
            where=config.name,
            hint="Draw more samples, or lower k.",
        )


def _program(config: Config, answer: Answer, text: str) -> str:
    before = answer.columns[config.before] + "\n" if config.before else ""
    return f"{before}{code_of(text)}\n\n{answer.columns[config.tests]}\n"


def _run(program: str, config: Config) -> Ran:
    return _run_once(program, config.timeout_s, config.memory_mb << 20)


@cache
def _run_once(program: str, timeout_s: float, memory_bytes: int) -> Ran:
    return run_program(program, timeout_s=timeout_s, memory_bytes=memory_bytes)
