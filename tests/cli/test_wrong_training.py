"""What cannot be trained, or loaded once it is trained: exit code 2 before the first step, with one clear error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import tunewright
from tests.cli.test_wrong_input import refused
from tests.lifecycle.world import make_world
from tests.tiny import tiny_folder, tiny_tokenizer
from tunewright.models import memory
from tunewright.store import Workspace


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


@pytest.fixture
def place(tmp_path: Path) -> tuple[str, str]:
    return "--workspace", str(tmp_path / "ws")


def untrained(place: tuple[str, str]) -> bool:
    """Whether the one run in the workspace took no step."""
    (run,) = Workspace.open(Path(place[1])).runs()
    return run.status == "failed" and not run.events("metrics") and not (run.folder / "checkpoints").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "method.targets=[q_prj]",
            ("method.targets", "'q_prj' matches no linear layer", "Did you mean 'q_proj'?", "up_proj"),
        ),
        ("method.rank=17", ("method.rank", "A rank of 17 is above the width of model.layers.0", "Use 16 or less")),
        ("method={name: layers, last: 3}", ("method.last", "this model has 2")),
        ("method={name: layers, last: 0, names: [nrm]}", ("method.names", "Did you mean 'norm'?")),
        ("method={name: bottleneck, width: 33}", ("method.width", "wider than the model", "at most 32")),
        ("method={name: molora, rank: 17}", ("method.rank", "A rank of 17 is above the width")),
        ("method={name: prompt, tokens: 2, init: a long text}", ("method.init", "11 tokens", "2 virtual tokens")),
    ],
)
def test_a_method_that_does_not_fit_the_base(
    override: str, words: tuple[str, ...], world: Path, place: tuple[str, str]
) -> None:
    refused(tunewright("train", world, "--set", override, *place), *words)
    assert untrained(place)


def test_one_row_too_large_for_memory_whatever_the_budget(
    world: Path, place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = 4 * memory.model_size(world.parent / "base").parameters
    # Room for the libraries and the base, and next to nothing for a row.
    monkeypatch.setattr("tunewright.models.available.available_bytes", lambda: memory.PROCESS_BYTES + weights + 10_000)
    outcome = tunewright("train", world, "--set", "train.batch_size=1", "--set", "train.node_budget=8", *place)
    refused(outcome, "GB are free", "What would make it fit: a data.max_length below ", "or more free memory")
    assert untrained(place)


def test_a_tokenizer_with_tokens_that_the_base_does_not_know(
    world: Path, tmp_path: Path, place: tuple[str, str]
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(world.parent / "base", folder)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<order>"])
    tokenizer.save_pretrained(folder)
    outcome = tunewright("train", world, "--set", f"base={folder}", *place)
    refused(outcome, str(folder), "'<order>' (259)", "259 rows", "resize_token_embeddings")
    assert untrained(place)


def test_a_resume_with_another_recipe(world: Path, place: tuple[str, str]) -> None:
    assert tunewright("data", "prepare", world, *place).code == 0
    refused(tunewright("train", world, "--set", "method.rank=99", *place), "method.rank")
    for changed, words in (("train.epochs=2", "train.epochs: was 1.0, is 2.0"), ("seed=4", "seed: was 3, is 4")):
        outcome = tunewright("train", world, "--set", "method.rank=99", "--set", changed, "--resume", *place)
        refused(outcome, "was started with another recipe", words, "Resume with the recipe and the --set values")


def test_an_adapter_on_another_base_than_its_own(world: Path, tmp_path: Path, place: tuple[str, str]) -> None:
    base = tmp_path / "base"
    shutil.copytree(world.parent / "base", base)
    fast = ("--set", "train.epochs=0.2", "--set", "evaluate.systems=[]", "--set", "evaluate.limit=4")
    assert tunewright("run", world, *fast, "--set", f"base={base}", *place).code == 0
    shutil.rmtree(base)
    tiny_folder(base, seed=9)
    for arguments in (("chat", "colours", "--message", "red lamp"), ("eval", "colours")):
        refused(tunewright(*arguments, *place), "trained on", "with weights", "Load it on the base it was trained on")
