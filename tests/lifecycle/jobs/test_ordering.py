"""What a client asks for becomes a job, and that a recipe."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lifecycle.jobs.made import MODEL, chat_rows, made_workspace, ordered, pair_rows, uploaded
from tunewright.base.plugins import METHODS
from tunewright.lifecycle.jobs.checking import Checked
from tunewright.lifecycle.jobs.jobs import JobError
from tunewright.lifecycle.jobs.ordering import lay_out, model_name, predicted_bytes, recipe_of, resolved, trainable
from tunewright.models.resolve import resolve
from tunewright.store import Workspace
from tunewright.store.uploads import find_upload, remove_upload


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return made_workspace(tmp_path_factory.mktemp("ordering"))


def auto(examples: int, method: str = "supervised", **values: Any) -> dict[str, Any]:
    names = ("n_epochs", "batch_size", "learning_rate_multiplier", *(["beta"] if method == "dpo" else []))
    asked = {**dict.fromkeys(names, "auto"), **values}
    body = {"method": {"type": method, method: {"hyperparameters": asked}}}
    found: dict[str, Any] = resolved(body, Checked(examples, 10))["method"][method]["hyperparameters"]
    return found


@pytest.mark.parametrize(
    ("examples", "epochs", "batch"),
    # 100 // 12, 100 // 33; from 34 examples on three passes are a hundred; 25,000 // 10,000, and at least one.
    [(12, 8, 1), (33, 3, 2), (34, 3, 2), (100, 3, 6), (1000, 3, 16), (10_000, 2, 16), (30_000, 1, 16)],
)
def test_auto_follows_the_number_of_examples(examples: int, epochs: int, batch: int) -> None:
    assert auto(examples) == {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": 1.0}


def test_what_is_given_stays() -> None:
    assert auto(100, n_epochs=5, learning_rate_multiplier=0.5) == {
        "n_epochs": 5,
        "batch_size": 6,
        "learning_rate_multiplier": 0.5,
    }
    assert auto(100, "dpo", n_epochs=1)["beta"] == 0.1


def test_the_recipe_says_what_was_asked(workspace: Workspace) -> None:
    files = [uploaded(workspace, chat_rows(count)) for count in (20, 5)]
    values = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    job = ordered(workspace, files[0], validation_file=files[1], hyperparameters=values)
    base = resolve(job.body["base"], workspace.cache)
    recipe = recipe_of(workspace, job, base, lay_out(workspace, job), checkpoint_every_s=9.0)
    assert (recipe.seed, recipe.train.epochs, recipe.train.batch_size) == (7, 2, 4)
    assert recipe.learning_rate == pytest.approx(0.5 * METHODS.module("lora").LEARNING_RATE)
    assert recipe.train.checkpoint_every_s == 9.0
    assert (recipe.data.split.validation, recipe.data.split.test) == (0, 0)
    assert recipe.longest == base.context_length
    # The file may be deleted while the job runs.
    remove_upload(workspace, find_upload(workspace, files[0]))
    assert lay_out(workspace, job).joinpath("training.jsonl").read_text().count("\n") == 20


def test_preferences_are_learned_with_beta(workspace: Workspace) -> None:
    values = {"n_epochs": 1, "batch_size": 2, "learning_rate_multiplier": 2.0, "beta": 0.3}
    job = ordered(workspace, uploaded(workspace, pair_rows(10)), method="dpo", hyperparameters=values)
    assert job.body["hyperparameters"] == {"n_epochs": 1, "batch_size": 2, "learning_rate_multiplier": 2.0}
    recipe = recipe_of(
        workspace, job, resolve(job.body["base"], workspace.cache), lay_out(workspace, job), checkpoint_every_s=60.0
    )
    objective: Any = recipe.train.objective
    assert (objective.plugin, objective.beta, recipe.data.format) == ("dpo", 0.3, "openai_preference")
    assert recipe.learning_rate == pytest.approx(2.0 * 0.025 * METHODS.module("lora").LEARNING_RATE)


def test_names_have_base_organisation_suffix_and_id(workspace: Workspace) -> None:
    file = uploaded(workspace, chat_rows(10))
    job = ordered(workspace, file, suffix="desk")
    assert model_name(job) == f"ft:{MODEL}:acme:desk:{job.id[-8:]}"
    assert model_name(job, 12) == f"ft:{MODEL}:acme:desk:{job.id[-8:]}:ckpt-step-12"
    assert model_name(ordered(workspace, file)).startswith(f"ft:{MODEL}:acme::")


def test_without_a_seed_one_is_drawn(workspace: Workspace) -> None:
    file = uploaded(workspace, chat_rows(10))
    drawn = {ordered(workspace, file, seed=None).body["seed"] for _ in range(3)}
    assert len(drawn) == 3
    assert all(0 <= seed < 2**31 for seed in drawn)


def test_files_must_be_there_and_meant_for_it(workspace: Workspace) -> None:
    with pytest.raises(JobError, match="File 'file-none' does not exist") as missing:
        ordered(workspace, "file-none")
    assert (missing.value.where, missing.value.code) == ("training_file", "invalid_training_file")
    good, other = uploaded(workspace, chat_rows(10)), uploaded(workspace, chat_rows(10), purpose="batch")
    with pytest.raises(JobError, match="has the purpose 'batch'") as wrong:
        ordered(workspace, good, validation_file=other)
    assert wrong.value.where == "validation_file"


def test_models_must_be_here_and_bases(workspace: Workspace) -> None:
    with pytest.raises(JobError, match="not available for fine-tuning or does not exist") as missing:
        trainable(workspace, "gpt-none", project="default")
    assert (missing.value.where, missing.value.code) == ("model", "model_not_available")


def test_memory_is_foreseen_and_grows_with_the_rows(workspace: Workspace) -> None:
    values = {"n_epochs": 1, "batch_size": 4, "learning_rate_multiplier": 1.0}
    job = ordered(workspace, uploaded(workspace, chat_rows(10)), hyperparameters=values)
    files = resolve(job.body["base"], workspace.cache)
    short, long = (predicted_bytes(workspace, job, files, Checked(10, length)) for length in (50, 500))
    assert 300_000_000 < short < long < 2_000_000_000
