"""A small world to run the pipeline in: made rows, a tiny base model, and the recipe that joins them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.tiny import tiny_folder

COLOURS = ("red", "green", "blue")
THINGS = ("apple", "lamp", "coat", "door", "cup", "boat", "bird", "shoe", "book", "star")


def make_world(folder: Path, rows: int = 300, **changes: Any) -> Path:
    """Writes rows, base and recipe into a folder; returns the recipe's path.

    The label is the colour that the text names, so a trained model can do what an untrained one cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "rows.csv", rows)
    tiny_folder(folder / "base")
    return write_recipe(folder, **changes)


def write_rows(path: Path, rows: int, start: int = 0) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(start, start + rows):
            colour, thing = COLOURS[row % 3], THINGS[row // 3 % 10]
            writer.writerow([f"{colour} {thing} {row}", colour])


def write_recipe(folder: Path, *, instead: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """The recipe; changes are top-level keys, mappings are merged one level deep, those of `instead` are not."""
    recipe: dict[str, Any] = {
        "name": "colours",
        "goal": "Name the colour.",
        "base": "./base",
        "seed": 3,
        "data": {
            "train": "rows.csv",
            "template": {"user": "{text}", "assistant": "{label}"},
            "steps": ["unicode", "whitespace"],
            "split": {"validation": 12, "test": 24, "minimum_test_rows": 20},
            "max_length": 128,
        },
        "method": {"name": "lora", "rank": 4},
        "train": {"epochs": 1, "batch_size": 16, "learning_rate": 5.0e-3, "dtype": "float32"},
        "evaluate": {"max_new_tokens": 8, "bootstrap_samples": 100, "shots": 2},
    }
    for key, value in changes.items():
        recipe[key] = {**recipe[key], **value} if isinstance(value, dict) and key in recipe else value
    recipe |= instead or {}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path
