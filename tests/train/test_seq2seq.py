"""The loop on an encoder-decoder: it learns, and stopped and resumed it gives the same bytes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_t5 import tiny_t5_folder
from tests.train.made import interrupted_and_resumed, made_base, made_recipe, made_tables
from tunewright.base.files import hash_folder
from tunewright.train.loop import train
from tunewright.train.trained import Trained


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    tiny_t5_folder(folder / "base", dropout_rate=0.1)  # noise, which a resumed run must draw as it would have been
    return folder


def trained(root: Path, folder: Path, **options: Any) -> Trained:
    base = made_base(root / "base")
    recipe = made_recipe(epochs=2)
    return train(base, made_tables(base, root / "cache"), recipe, folder=folder, **options)


def test_stopped_and_resumed_it_gives_the_same_bytes_and_it_learns(root: Path, tmp_path: Path) -> None:
    whole = trained(root, tmp_path / "whole")
    losses = [loss for _, loss in whole.progress.validation]
    assert losses[-1] < 0.8 * losses[0]
    work = partial(trained, root)
    resumed = interrupted_and_resumed(lambda folder, **options: work(folder, **options), tmp_path / "cut", step=7)
    assert hash_folder(resumed.adapter) == hash_folder(whole.adapter)
