"""Rows and recipes for plans, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tunewright.data.tokens import TokenTable
from tunewright.models.memory import ModelSize
from tunewright.plan.bases import known_bases
from tunewright.plan.devices import Device
from tunewright.plan.predict import Forecast
from tunewright.plan.rows import Found
from tunewright.recipe import Recipe, recipe_from_mapping

SMALL = "smollm2-135m-instruct"
SEVEN_B = "meta-llama/Llama-2-7b-hf"
LARGEST_BYTES = 1 << 60


def made_recipe(base: str = SMALL, method: Any = "lora", **train: Any) -> Recipe:
    return recipe_from_mapping(
        {
            "name": "made",
            "goal": "Plan.",
            "base": base,
            "data": {"train": "unused.jsonl", "max_length": 64},
            "method": method,
            "train": {"batch_size": 4, "dtype": "float32", **train},
        }
    )


def made_table(rows: list[list[int]], learned: int = 1) -> TokenTable:
    """A table in memory; the last tokens of each row are learned."""
    weights = [np.r_[np.zeros(len(row) - learned), np.ones(learned)] for row in rows]
    return TokenTable(
        Path("made"),
        tuple(f"row-{row}" for row in range(len(rows))),
        np.cumsum([0, *map(len, rows)]),
        {},
        np.concatenate(rows).astype(np.int32),
        np.concatenate(weights).astype(np.float32),
    )


def made_device(memory_bytes: int = LARGEST_BYTES, **changes: Any) -> Device:
    settings = {"name": "made", "label": "a made card", "tflops": {"float32": 1.0}, "process_bytes": 0}
    return Device.model_validate({**settings, "memory_bytes": memory_bytes, **changes})


def made_forecast(recipe: Recipe, device: Device, tables: dict[str, TokenTable] | None = None) -> Forecast:
    size: ModelSize = known_bases()[recipe.base.lower()]
    return Forecast(recipe, size, device, Found("made", tables=tables or {}, rows=100))
