"""The backend of a run: told, forced, refused, kept; and a model that shares nothing trains and resumes like others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.forest.backends.test_unshared import made, mamba
from tests.tiny import tiny_tokenizer
from tests.train.made import interrupted_and_resumed, made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import ModelError, WorkspaceError
from tunewright.models.base import Base
from tunewright.train.loop import train
from tunewright.train.trained import Trained

STEPS = 4  # of 8 rows


def trained(base: Base, folder: Path, recipe: Any, **options: Any) -> Trained:
    tables = made_tables(base, folder.parent / "tokens", rows=8 * STEPS)
    return train(base, tables, recipe, folder=folder, **options)


def messages(heard: list[events.Event]) -> list[str]:
    return [event.text for event in heard if isinstance(event, events.Message) and "backend" in event.text]


def test_losses_do_not_depend_on_the_backend_and_each_run_tells_its_own(tmp_path: Path) -> None:
    losses = {}
    for backend in ("segments", "dense", "unshared"):
        heard: list[events.Event] = []
        base = made_base(tmp_path / "base")
        result = trained(base, tmp_path / backend, made_recipe(backend=backend), listener=heard.append)
        losses[backend] = [loss for _, loss, _, _ in result.progress.train]
        assert messages(heard) == [f"Forests are computed by the backend '{backend}': the recipe names it."]
    assert losses["segments"] == pytest.approx(losses["dense"], rel=1e-4)
    assert losses["segments"] == pytest.approx(losses["unshared"], rel=1e-4)


def test_noise_on_embeddings_finds_the_nodes_of_rows(tmp_path: Path) -> None:
    base = made_base(tmp_path / "base")
    result = trained(base, tmp_path / "run", made_recipe(backend="unshared", neftune_alpha=5.0))
    assert len(result.progress.train) == STEPS


def test_a_forced_backend_that_does_not_fit_is_refused_before_the_first_step(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    with pytest.raises(ModelError, match=r"train\.backend: .*'flex' does not fit"):
        trained(made_base(tmp_path / "base"), tmp_path / "run", made_recipe(backend="flex"), listener=heard.append)
    assert not heard
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_resumed_on_another_backend(tmp_path: Path) -> None:
    trained(made_base(tmp_path / "base"), tmp_path / "run", made_recipe(backend="dense"))
    with pytest.raises(WorkspaceError, match="another recipe"):
        trained(made_base(tmp_path / "base"), tmp_path / "run", made_recipe(backend="segments"), resume=True)
    # What auto takes here is what was named.
    trained(made_base(tmp_path / "base"), tmp_path / "second", made_recipe(backend="segments"))
    trained(made_base(tmp_path / "base"), tmp_path / "second", made_recipe(), resume=True)


def test_a_state_space_model_trains_and_resumes_to_the_same_adapter(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    made(mamba).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)

    def work(place: Path, **options: Any) -> Trained:
        return trained(made_base(folder), place, made_recipe(), **options)

    heard: list[events.Event] = []
    whole = work(tmp_path / "whole", listener=heard.append)
    assert len(messages(heard)) == 1
    assert "'unshared': nothing is shared, since MambaForCausalLM" in messages(heard)[0]
    parts = interrupted_and_resumed(work, tmp_path / "parts", step=2)
    files = [result.adapter / "adapter_model.safetensors" for result in (whole, parts)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert whole.progress.train[-1][1] < whole.progress.train[0][1]
