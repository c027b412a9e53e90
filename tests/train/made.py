"""A tiny base and a tiny task, enough for the loop to learn something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.tiny import tiny_folder
from tunewright.data.example import Example, Message
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.base import Base, load_base
from tunewright.models.resolve import resolve
from tunewright.recipe import Recipe, recipe_from_mapping


def made_base(folder: Path) -> Base:
    if not folder.exists():
        tiny_folder(folder)
    return load_base(resolve(str(folder), cache=folder.parent / "cache"))


def made_examples(rows: int, start: int = 0) -> list[Example]:
    """A letter named, its case to be told: learnable by a model of two layers."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        Example(
            id=f"row-{n}",
            messages=(
                Message("system", "Say which."),
                Message("user", f"{n % 7} {letters[n % 52]}"),
                Message("assistant", "big" if letters[n % 52].isupper() else "low"),
            ),
            fields={},
            source="made",
            line=n + 1,
        )
        for n in range(start, start + rows)
    ]


def made_recipe(**train: Any) -> Recipe:
    return recipe_from_mapping(
        {
            "name": "made",
            "goal": "Tell the case of a letter.",
            "data": {"train": "unused.jsonl"},
            "method": {"name": "lora", "rank": 4},
            "train": {"batch_size": 8, "learning_rate": 0.02, "node_budget": 100, "validate_every": 5, **train},
        }
    )


def made_tables(base: Base, cache: Path, rows: int = 64) -> dict[str, TokenTable]:
    return {
        "train": tokenize(made_examples(rows), base.chat, key="train", cache=cache, max_length=256),
        "validation": tokenize(made_examples(20, 1000), base.chat, key="validation", cache=cache, max_length=256),
    }
