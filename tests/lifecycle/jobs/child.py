"""The process of a task, for tests that start several: all that it imports is imported before it is forked."""

from __future__ import annotations

import os
import sys

import peft
import polars
import pytest
import torch
import transformers

import tunewright.lifecycle.training
import tunewright.train
from tests.processor import without_bfloat16
from tunewright.lifecycle.jobs.process import main

__all__ = ["peft", "polars", "torch", "transformers", "tunewright", "work_on"]


def work_on(task: str, root: str, setup: str) -> None:
    """Does what `python -m tunewright.lifecycle.jobs.process` does, with this suite's numbers."""
    without_bfloat16(pytest.MonkeyPatch())
    sys.exit(main(task, root, setup, str(os.getppid())))
