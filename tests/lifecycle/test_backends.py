"""How a run computes forests is chosen once, told, kept in its manifest, and taken up by its later stages."""

from __future__ import annotations

from pathlib import Path

import pytest

import tunewright as tw
from tests.lifecycle.world import make_world
from tunewright.base.errors import ModelError
from tunewright.base.events import Event, Message
from tunewright.lifecycle.job import start
from tunewright.lifecycle.stages import evaluate

QUICK = ["train.epochs=0.2", "evaluate.limit=4", "evaluate.systems=[base]"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


def told(heard: list[Event]) -> list[str]:
    return [event.text for event in heard if isinstance(event, Message) and event.text.startswith("Forests are")]


def test_it_is_told_once_and_kept_over_a_resume(world: Path, tmp_path: Path) -> None:
    recipe, heard = tw.load_recipe(world, [*QUICK, "train.device=cpu"]), list[Event]()
    with start(recipe, workspace=tmp_path / "ws", listener=heard.append) as job:
        evaluate(job)  # trains, and loads the base again to be measured
        run = job.run.id
    assert told(heard) == ["Forests are computed by the backend 'segments': prefixes are shared, on a processor."]
    kept = tw.Workspace.open(tmp_path / "ws").find_run(run).manifest
    assert kept["attention"] == {"backend": "segments", "reason": "prefixes are shared, on a processor"}
    assert kept["environment"]["device"] == "cpu"


def test_a_run_goes_on_with_the_backend_that_it_began_with(world: Path, tmp_path: Path) -> None:
    recipe, heard = tw.load_recipe(world, QUICK), list[Event]()
    with start(recipe, workspace=tmp_path / "ws", listener=heard.append) as job:
        job.run.update_manifest(attention={"backend": "unshared", "reason": "made up"})
        result = evaluate(job)
        assert job.load_base().model.config._attn_implementation == "sdpa"
    assert told(heard) == []
    assert {"base", "tuned"} <= set(result.evaluation)


def test_a_card_that_is_not_there_is_refused(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelError, match=r"train\.device: CUDA is asked for, and there is none") as raised:
        tw.run(world, overrides=[*QUICK, "train.device=cuda"], workspace=tmp_path / "ws")
    assert raised.value.exit_code == 2
