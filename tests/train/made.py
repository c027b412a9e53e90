"""A tiny base and a tiny task, enough for the loop to learn something."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.tiny import tiny_folder
from tunewright.base import events
from tunewright.data.example import Example, Message
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.base import Base, load_base
from tunewright.models.resolve import resolve
from tunewright.recipe import Recipe, recipe_from_mapping


def made_base(folder: Path, dtype: Literal["float32", "bfloat16"] = "float32") -> Base:
    if not folder.exists():
        tiny_folder(folder)
    return load_base(resolve(str(folder), cache=folder.parent / "cache"), dtype=dtype)


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


def made_recipe(method: Any = None, forgetting: Any = None, **train: Any) -> Recipe:
    return recipe_from_mapping(
        {
            "name": "made",
            "goal": "Tell the case of a letter.",
            "data": {"train": "unused.jsonl"},
            "method": method or {"name": "lora", "rank": 4},
            "train": {"batch_size": 8, "learning_rate": 0.02, "node_budget": 100, "validate_every": 5, **train},
            "forgetting": forgetting,
        }
    )


def made_tables(base: Base, cache: Path, rows: int = 64) -> dict[str, TokenTable]:
    return {
        "train": tokenize(made_examples(rows), base.chat, key="train", cache=cache, max_length=256),
        "validation": tokenize(made_examples(20, 1000), base.chat, key="validation", cache=cache, max_length=256),
    }


def general_table(base: Base, cache: Path, rows: int = 6) -> TokenTable:
    """Rows about something else."""
    examples = [
        Example(f"general-{n}", (Message("user", f"{n} + 1?"), Message("assistant", str(n + 1))), {}, "made", n + 1)
        for n in range(rows)
    ]
    return tokenize(examples, base.chat, key=f"general/{rows}", cache=cache, max_length=256)


def interrupted_and_resumed(work: Callable[..., Any], folder: Path, *, step: int) -> Any:
    """What `work(folder, resume=…, listener=…)` gives after a Ctrl-C at a step and a resume."""

    def stop(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == step and "loss" in event.values:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        work(folder, listener=stop)
    heard: list[events.Event] = []
    result = work(folder, resume=True, listener=heard.append)
    assert any("Resumed after step" in event.text for event in heard if isinstance(event, events.Message))
    return result
