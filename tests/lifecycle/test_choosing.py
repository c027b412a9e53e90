"""`method: auto` in a run: chosen before training, told, kept, and the same when it is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunewright as tw
from tests.lifecycle.world import make_world
from tunewright.base.errors import OutOfMemoryError
from tunewright.base.events import Event, Message
from tunewright.base.files import read_json
from tunewright.lifecycle.job import start
from tunewright.lifecycle.stages import preflight, train
from tunewright.models import available, memory
from tunewright.models.treatment import treat

QUICK = ["train.epochs=0.2", "evaluate.limit=4", "evaluate.systems=[base]"]
LORA = {"name": "lora", "rank": 8, "alpha": None, "dropout": 0.0, "targets": "all-linear"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120, method="auto")


def said(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message) and "method: auto" in event.text]


@pytest.fixture(scope="module")
def heard() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def result(world: Path, heard: list[Event]) -> Any:
    return tw.run(world, overrides=QUICK, workspace=world.parent / "ws", listener=heard.append)


@pytest.fixture(scope="module")
def workspace(world: Path, result: Any) -> Any:
    return tw.Workspace.open(world.parent / "ws")


def test_the_choice_is_told_once_and_kept_in_the_run(result: Any, workspace: Any, heard: list[Event]) -> None:
    run = workspace.find_run(result.run)
    kept = run.manifest["method"]
    assert kept["settings"] == LORA
    # 120 rows, less 24 for the test and 12 for validation.
    assert "can hold 84 rows with" in kept["reason"]
    assert said(heard) == [f"method: auto is lora, rank 8: {kept['reason']}."]
    assert run.recipe["method"] == {"name": "auto"}, "what was asked stays on record"


def test_what_comes_after_names_the_method_itself(result: Any, workspace: Any) -> None:
    adapter = workspace.artifact(result.adapter, "adapter")
    assert adapter.manifest["method"] == LORA
    assert read_json(adapter.path / "tunewright.json")["method"] == LORA
    assert workspace.find_release("colours").recipe["method"] == LORA
    (card,) = workspace.artifacts("release")
    assert "Adapter (lora)" in (card.path / "README.md").read_text(encoding="utf-8")
    assert tw.load_recipe(card.path / "recipe.yaml").method.model_dump(mode="json") == LORA
    page = result.report.read_text(encoding="utf-8")
    assert "lora: rank 8" in page
    assert workspace.find_run(result.run).manifest["method"]["reason"] in page


def test_a_finished_run_is_resumed_and_its_release_measured_again(world: Path, result: Any, workspace: Any) -> None:
    assert tw.run(world, overrides=QUICK, workspace=workspace, resume="latest") == result
    measured = tw.remeasure("colours@1", ["evaluate.limit=3"], workspace=workspace)
    assert measured.evaluation["n"] == 3


def test_it_trains_what_the_method_named_by_hand_trains(world: Path, result: Any, tmp_path: Path) -> None:
    named = tw.load_recipe(world, [*QUICK, "method={name: lora, rank: 8}"])
    with start(named, workspace=tmp_path / "ws") as job:
        assert train(job).stored.hash == result.adapter
    assert "method" not in job.run.manifest


def test_a_resumed_run_keeps_the_choice_though_memory_is_another(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tw.load_recipe(world, QUICK)
    events: list[Event] = []
    with start(recipe, workspace=tmp_path / "ws", listener=events.append) as job:
        preflight(job)
    kept = job.run.manifest["method"]
    monkeypatch.setattr(available, "available_bytes", lambda: 1 << 20)
    with start(recipe, workspace=tmp_path / "ws", resume="latest", listener=events.append) as again:
        assert again.run.id == job.run.id
        assert train(again).stored.manifest["method"] == LORA
    assert again.run.manifest["method"] == kept
    assert len(said(events)) == 1


def test_a_resumed_run_cuts_its_steps_as_it_began(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tw.load_recipe(world, ["train.epochs=0.5", "train.checkpointing=none"])
    events: list[Event] = []
    with start(recipe, workspace=tmp_path / "ws") as job:
        preflight(job)
    assert job.run.manifest["memory"] == {"node_budget": 2048, "checkpointing": "none"}
    job.run.update_manifest(memory={"node_budget": 64, "checkpointing": "layers"})  # as if little had been free then
    with start(recipe, workspace=tmp_path / "ws", resume="latest", listener=events.append) as again:
        train(again)
        assert (again.recipe.train.node_budget, again.recipe.train.checkpointing) == (64, "layers")
    assert not [event for event in events if isinstance(event, Message) and "Pieces of" in event.text]


def test_where_little_is_free_pieces_are_smaller_and_that_is_told(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tw.load_recipe(world, ["train.epochs=0.5"])
    account = memory.PROCESS_BYTES + 2_000_000
    monkeypatch.setattr(available, "available_bytes", lambda: round(1.1 * account))
    events: list[Event] = []
    with start(recipe, workspace=tmp_path / "ws", listener=events.append) as job:
        preflight(job)
    (told,) = [event.text for event in events if isinstance(event, Message) and "Pieces of" in event.text]
    kept = job.run.manifest["memory"]
    assert kept["node_budget"] < 2048 or kept["checkpointing"] == "layers"
    assert f"Pieces of {kept['node_budget']:,} nodes" in told


def test_where_nothing_fits_the_run_stops_before_training(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available, "available_bytes", lambda: 1 << 20)
    with (
        pytest.raises(OutOfMemoryError),
        start(tw.load_recipe(world, QUICK), workspace=tmp_path / "ws") as job,
    ):
        train(job)
    assert "train" not in job.run.manifest["stages"]


@pytest.mark.parametrize(("objective", "copies"), [("sft", 1), ("dpo", 2)])
def test_a_reference_counts_against_full_training(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str, copies: int
) -> None:
    from tunewright.lifecycle import choosing
    from tunewright.models.methods import auto, full

    seen: list[auto.Means] = []
    real = auto.choose
    monkeypatch.setattr(auto, "choose", lambda *size, **asked: seen.append(asked["means"]) or real(*size, **asked))
    tables = {"train": _Table()}
    monkeypatch.setattr(choosing, "token_tables", lambda job: tables)
    recipe = tw.load_recipe(world, [f"train.objective={objective}"])
    with start(recipe, workspace=tmp_path / "ws") as job:
        choosing.settle_method(job)
        size = memory.model_size(job.base_files().folder)
    (means,) = seen
    piece = memory.Piece.of_rows(1, recipe.train.piece_nodes + 1)
    account = memory.estimate_training_bytes(size, treat(size, full.Config(), "float32"), piece)
    assert means.peak(full.Config()) - account.total == (copies - 1) * 4 * size.parameters
    # A layer's widths: q, o 64 each; k, v 48 each; gate, up, down 96 each. 512, in 2 layers, at rank 8.
    assert job.run.manifest["method"]["reason"].startswith("8,192 weights at rank 8 can hold 2 rows with 5 tokens")


class _Table:
    """Three rows: of the second nothing is learned."""

    def __len__(self) -> int:
        return 3

    def weights(self, row: int) -> Any:
        return np.array([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0.5, -1, 1]][row])
