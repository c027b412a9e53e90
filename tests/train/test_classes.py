"""Encoders under heads in the training loop: what is learned, and that an interruption changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_encoder import encoder_folder
from tests.train.made import interrupted_and_resumed, made_recipe
from tunewright.base.errors import RecipeError
from tunewright.base.files import folder_listing
from tunewright.data.example import Example, Message
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.base import Base, load_base
from tunewright.models.class_format import ClassFormat
from tunewright.models.resolve import resolve
from tunewright.train import train

COLOURS = ("blue", "green", "red")
THINGS = ("apple", "lamp", "coat", "door")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    encoder_folder(folder / "base", hidden_dropout_prob=0.1)
    return folder


def made_base(root: Path) -> Base:
    return load_base(resolve(str(root / "base"), cache=root / "cache"))


def made_tables(base: Base, cache: Path, colours: tuple[str, ...] = COLOURS) -> dict[str, TokenTable]:
    format = ClassFormat(base.chat, "label", colours)

    def table(part: str, start: int, rows: int) -> TokenTable:
        examples = [
            Example(
                f"{part}-{n}",
                (Message("user", f"{colours[n % 3]} {THINGS[n // 3 % 4]} {n}"), Message("assistant", colours[n % 3])),
                {},
                "made",
                n + 1,
            )
            for n in range(start, start + rows)
        ]
        return tokenize(examples, format, key=f"{part}-{'-'.join(colours)}", cache=cache, max_length=64)

    return {"train": table("train", 0, 48), "validation": table("validation", 60, 12)}


@pytest.mark.parametrize("method", [{"name": "lora", "rank": 4}, {"name": "feature"}])
def test_interrupted_and_resumed_gives_the_same_bytes(root: Path, tmp_path: Path, method: Any) -> None:
    recipe = made_recipe(method, objective="classify", epochs=2, checkpoint_every_s=0.001, label_smoothing=0.1)

    def work(folder: Path, **options: Any) -> Any:
        base = made_base(root)
        return train(base, made_tables(base, root / "cache"), recipe, folder=folder, **options)

    whole = work(tmp_path / "whole")
    losses = [loss for _, loss, _, _ in whole.progress.train]
    assert min(losses[-3:]) < losses[0]
    resumed = interrupted_and_resumed(work, tmp_path / "cut", step=7)
    assert folder_listing(resumed.adapter) == folder_listing(whole.adapter)
    assert resumed.progress.train == whole.progress.train
    assert not (tmp_path / "whole" / "states.bin").exists()


def test_an_encoder_learns_no_answers(root: Path, tmp_path: Path) -> None:
    base = made_base(root)
    with pytest.raises(RecipeError, match="cannot learn to write answers"):
        train(base, made_tables(base, root / "cache"), made_recipe(), folder=tmp_path)
