"""Noise, smoothing, anchors, replay, scores and divergence, as the loop does them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.made import general_table, made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import DataError, DiskFullError, RecipeError, TrainingDivergedError, UnknownNameError
from tunewright.base.files import hash_folder
from tunewright.recipe import Recipe
from tunewright.train import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regularise")
    made_base(folder / "tiny")
    return folder


def run(root: Path, folder: Path, recipe: Recipe, *, rows: int = 24, **options: Any) -> tuple[Any, list[events.Event]]:
    heard: list[events.Event] = []
    base = made_base(root / "tiny")
    tables = {**made_tables(base, root / "cache", rows=rows), "general": general_table(base, root / "cache")}
    return train(base, tables, recipe, folder=folder, listener=heard.append, **options), heard


def recipe(**settings: Any) -> Recipe:
    return made_recipe(**{"batch_size": 4, "node_budget": 1000, "validate_every": 3, **settings})


def steps(heard: list[events.Event]) -> list[dict[str, float]]:
    return [event.values for event in heard if isinstance(event, events.Metrics) and "loss" in event.values]


def messages(heard: list[events.Event]) -> list[events.Message]:
    return [event for event in heard if isinstance(event, events.Message)]


# A run of two steps: the first one's loss shows what it did to the loss, the second one's what to the weights.
SHORT: dict[str, Any] = {"epochs": 1 / 3, "warmup_share": 0, "validate_every": 2}


def test_label_smoothing_raises_the_training_loss_and_leaves_validation_alone(root: Path, tmp_path: Path) -> None:
    plain, _ = run(root, tmp_path / "plain", recipe(**SHORT, learning_rate=1e-9))
    smooth, _ = run(root, tmp_path / "smooth", recipe(**SHORT, learning_rate=1e-9, label_smoothing=0.5))
    assert smooth.progress.train[0][1] != pytest.approx(plain.progress.train[0][1], rel=1e-3)
    assert smooth.progress.best_loss == pytest.approx(plain.progress.best_loss, rel=1e-5)


def test_smoothing_is_refused_where_answers_are_compared(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train\.label_smoothing: The objective 'dpo' compares answers"):
        run(root, tmp_path, recipe(objective="dpo", label_smoothing=0.1))


def test_noise_is_in_training_and_not_in_validation(root: Path, tmp_path: Path) -> None:
    plain, _ = run(root, tmp_path / "plain", recipe(**SHORT, learning_rate=1e-9))
    noisy, _ = run(root, tmp_path / "noisy", recipe(**SHORT, learning_rate=1e-9, neftune_alpha=50))
    assert noisy.progress.train[0][1] != pytest.approx(plain.progress.train[0][1], rel=1e-3)
    assert noisy.progress.best_loss == pytest.approx(plain.progress.best_loss, rel=1e-5)


def test_a_strong_anchor_holds_the_adapter_at_the_base(root: Path, tmp_path: Path) -> None:
    settings = {"epochs": 2, "optimiser": {"name": "sgd", "momentum": 0}, "learning_rate": 0.1, "schedule": "constant"}

    def update(trained: Any) -> float:
        from safetensors.torch import load_file

        held = load_file(trained.adapter / "adapter_model.safetensors")
        return sum(float(value.norm()) for name, value in held.items() if "lora_B" in name)

    free, _ = run(root, tmp_path / "free", recipe(**settings))
    held, heard = run(root, tmp_path / "held", recipe(**settings, forgetting={"l2": 5.0}))
    assert update(held) < 0.75 * update(free)
    # At the first step nothing has moved yet.
    assert steps(heard)[0]["anchor"] == 0
    assert all(step["anchor"] > 0 for step in steps(heard)[1:])


def test_ewc_measures_the_general_rows_once_and_holds_what_they_need(root: Path, tmp_path: Path) -> None:
    forgetting = {"data": "general.jsonl", "ewc": 1.0, "fisher_rows": 4}
    _, heard = run(root, tmp_path, recipe(**SHORT, forgetting=forgetting))
    stages = [event for event in heard if isinstance(event, events.Stage) and event.name == "fisher information"]
    assert [(stage.status, stage.done) for stage in stages] == [
        ("started", 0),
        *(("progress", done) for done in range(4)),
        ("finished", 4),
    ]
    assert stages[0].total == 4
    assert steps(heard)[0]["anchor"] == 0
    assert steps(heard)[1]["anchor"] > 0


def test_replay_mixes_general_rows_in_and_counts_them(root: Path, tmp_path: Path) -> None:
    forgetting = {"data": "general.jsonl", "replay": 0.2}
    trained, heard = run(root, tmp_path, recipe(forgetting=forgetting))
    # 24 training rows are 80 % of 30.
    assert trained.steps == 8
    assert sum(step["replayed"] for step in steps(heard)) == 6
    said = [message.text for message in messages(heard)]
    assert "Each epoch learns from 24 training rows and 6 general ones, of 6 there are." in said


def test_replay_without_general_rows_is_refused(root: Path, tmp_path: Path) -> None:
    base = made_base(root / "tiny")
    with pytest.raises(DataError, match=r"forgetting\.data"):
        train(
            base,
            made_tables(base, root / "cache"),
            recipe(forgetting={"data": "general.jsonl", "replay": 0.2}),
            folder=tmp_path,
        )


def test_the_best_weights_are_those_of_the_best_score(root: Path, tmp_path: Path) -> None:
    told = iter([0.5, 0.9, 0.7, 0.9])
    seen: list[tuple[bool, dict[str, torch.Tensor]]] = []

    def validate(model: Any) -> Mapping[str, float]:
        weights = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
        seen.append((model.training, weights))
        torch.rand(3)  # may draw, and changes nothing
        return {"accuracy": next(told), "other": 0.0}

    asked = recipe(epochs=2, best="accuracy", patience=2)
    trained, heard = run(root, tmp_path / "run", asked, validate=validate)
    progress = trained.progress
    assert progress.scores == [
        (step, {"accuracy": value, "other": 0.0})
        for step, value in zip((3, 6, 9, 12), (0.5, 0.9, 0.7, 0.9), strict=True)
    ]
    # Equal is not better, so that the first of the two is kept, and patience runs out at the last step.
    assert (progress.best_step, progress.best_standing, progress.waited) == (6, 0.9, 2)
    assert progress.best_loss == dict(progress.validation)[6]
    assert not any(training for training, _ in seen)
    from safetensors.torch import load_file

    held = load_file(trained.adapter / "adapter_model.safetensors")
    best = {name.replace(".default", ""): weight for name, weight in seen[1][1].items()}
    assert all(torch.equal(held[name], best[name]) for name in held)
    values = [event.values for event in heard if isinstance(event, events.Metrics) and "validated" in event.values]
    assert [value["validation_accuracy"] for value in values] == [0.5, 0.9, 0.7, 0.9]


def test_scores_are_watched_without_changing_what_is_trained(root: Path, tmp_path: Path) -> None:
    plain, _ = run(root, tmp_path / "plain", recipe())
    watched, _ = run(root, tmp_path / "watched", recipe(), validate=lambda model: {"x": float(torch.rand(1))})
    assert hash_folder(plain.adapter) == hash_folder(watched.adapter)


def test_patience_counts_a_score_that_gets_no_better(root: Path, tmp_path: Path) -> None:
    asked = recipe(epochs=4, validate_every=2, best="accuracy", patience=2)
    trained, _ = run(root, tmp_path, asked, validate=lambda model: {"accuracy": 0.5})
    assert trained.stopped_early
    assert (trained.progress.step, trained.progress.best_step) == (6, 2)


def test_a_score_that_nothing_measures_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train\.best: Nothing measures 'accuracy' while training"):
        run(root, tmp_path, recipe(best="accuracy"))
    with pytest.raises(UnknownNameError, match=r"score 'acuracy' is unknown. Did you mean 'accuracy'\?"):
        run(root, tmp_path, recipe(best="acuracy"), validate=lambda model: {"accuracy": 0.5})


def test_the_methods_own_rate_is_taken_where_the_recipe_has_none(root: Path, tmp_path: Path) -> None:
    asked = recipe(learning_rate=None, epochs=1 / 6, warmup_share=0)
    assert asked.learning_rate == 1e-3
    trained, _ = run(root, tmp_path, asked)
    assert trained.progress.train[0][2] == 1e-3


def test_a_diagnosis_is_told_at_the_end(root: Path, tmp_path: Path) -> None:
    trained, heard = run(root, tmp_path, recipe(epochs=3))
    last = messages(heard)[-1]
    assert last.text == str(trained.diagnosis)
    assert last.level == ("warning" if trained.diagnosis.verdict in ("overfitting", "underfitting") else "info")


def harm(model: Any) -> None:
    """Makes a model say nonsense with certainty."""
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(40)


def test_a_loss_that_leaves_its_level_stops_the_run_at_the_last_good_checkpoint(root: Path, tmp_path: Path) -> None:
    base = made_base(root / "tiny")

    def explode(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == 24 and "loss" in event.values:
            harm(base.model)

    asked = recipe(epochs=8, checkpoint_every_s=1e-6, best="loss", patience=99, validate_every=100)
    with pytest.raises(TrainingDivergedError) as caught:
        train(base, made_tables(base, root / "cache", rows=24), asked, folder=tmp_path, listener=explode)
    text = str(caught.value)
    assert text.startswith("step 25: From this step on the loss was far above its level: ")
    assert "over 10 steps (rows row-" in text
    # No checkpoint is written while it is far above, and that of step 24 already holds the harmed weights: it is gone.
    assert f"the last good checkpoint is {tmp_path / 'checkpoints' / 'step-00000023'}" in text
    assert sorted(place.name for place in (tmp_path / "checkpoints").iterdir()) == ["step-00000023"]


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(root: Path, tmp_path: Path) -> None:
    base = made_base(root / "tiny")

    def poison(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == 3 and "loss" in event.values:
            with torch.no_grad():
                base.model.model.layers[0].mlp.up_proj.weight.fill_(np.nan)

    with pytest.raises(
        TrainingDivergedError, match=r"step 3: The validation loss .* good checkpoint is .*step-00000002"
    ):
        train(
            base,
            made_tables(base, root / "cache", rows=24),
            recipe(checkpoint_every_s=1e-6),
            folder=tmp_path,
            listener=poison,
        )


def test_a_full_disk_stops_the_run_and_a_resume_ends_with_the_same_bytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import torch as files

    asked = recipe(epochs=1, checkpoint_every_s=1e-6)
    whole, _ = run(root, tmp_path / "whole", asked)
    real, calls = files.save_file, 0

    def filling_up(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise OSError(28, "No space left on device")
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(files, "save_file", filling_up)
        with pytest.raises(DiskFullError, match="No space is left on this disk"):
            run(root, tmp_path / "full", asked)
    again, _ = run(root, tmp_path / "full", asked, resume=True)
    assert again.progress == whole.progress
    assert hash_folder(again.adapter) == hash_folder(whole.adapter)
