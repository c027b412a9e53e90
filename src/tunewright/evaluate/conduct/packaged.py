"""The packaged texts, questions, prompts and word lists, as they lie beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def packaged(name: str) -> Any:
    """What a file of this folder holds: `general_texts`, `general_tasks`, `general_prompts`, `requests`, `groups`.

    Callers share what they get, and change nothing in it.
    """
    return yaml.safe_load((files("tunewright.evaluate.conduct") / f"{name}.yaml").read_text("utf-8"))
