"""Share of answers that are strict JSON: no words around it, no NaN, no key twice, nothing cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share
from tunewright.metrics._records import parse_json

NEEDS_REFERENCE = False
ABOUT = {"json_valid": About("Valid JSON", "the answer can be read as JSON")}


class Config(PluginConfig):
    """JSON validity has no settings."""

    name: Literal["json_valid"] = "json_valid"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the answer is one JSON value, else 0; reduced to the mean."""
    require_answers(config.name, answers)
    return [share(config.name, [_is_json(answer.prediction) for answer in answers])]


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except ValueError:
        return False
    return True
