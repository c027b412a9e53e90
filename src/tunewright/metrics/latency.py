"""How long an answer takes: the median, and what 95 of 100 answers stay under, in seconds.

Systems whose answers carry no time have neither. Answers that were decoded side by side share their batch's time; what
a person would wait for is measured with one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._measure import Measure
from tunewright.metrics._numbers import read_numbers

NEEDS_REFERENCE = False
ABOUT = {
    f"latency_p{part}": About(title, meaning, best=None, is_share=False, less_is_better=True)
    for part, title, meaning in (
        (50, "Seconds, median", "half of the answers take less time; less is better"),
        (95, "Seconds, 95 of 100", "95 of 100 answers take less time; less is better"),
    )
}


class Config(PluginConfig):
    """The latency has no settings."""

    name: Literal["latency"] = "latency"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """`latency_p50` and `latency_p95`, in seconds.

    Raises:
        InputError: If only some answers have a time, or one is no time.
    """
    hint = "Give a time for every answer, or for none."
    seconds = read_numbers(config.name, answers, lambda answer: answer.seconds, what="a time in seconds", hint=hint)
    if seconds is None:
        return []
    return [Measure(f"latency_p{part}", seconds, quantile=part / 100) for part in (50, 95)]
