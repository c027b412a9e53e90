"""What quantising costs is measured once in a run, told, kept, and shown to who reads report or card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunewright as tw
from tests.lifecycle.world import make_world
from tunewright.base.events import Event, Message, Metrics
from tunewright.lifecycle import quantising
from tunewright.lifecycle.job import start
from tunewright.lifecycle.preparing import token_tables
from tunewright.lifecycle.quantising import Gap, quantisation_gap
from tunewright.models.base import load_base
from tunewright.models.methods import qlora

pytest.importorskip("bitsandbytes")

QUICK = ["train.epochs=0.2", "evaluate.limit=4", "evaluate.systems=[base]"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120, method={"name": "qlora", "rank": 4, "bits": 8})


@pytest.fixture(scope="module")
def heard() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def result(world: Path, heard: list[Event]) -> Any:
    return tw.run(world, overrides=QUICK, workspace=world.parent / "ws", listener=heard.append)


def plain_loss(model: Any, rows: list[tuple[Any, Any]]) -> float:
    """Row by row, by the model's own forward pass."""
    total = weight = 0.0
    for tokens, weights in rows:
        with torch.no_grad():
            logp = model(input_ids=torch.tensor(tokens[None].astype(np.int64))).logits[0, :-1].log_softmax(-1)
        found = logp.gather(1, torch.tensor(tokens[1:, None].astype(np.int64)))[:, 0].numpy()
        total, weight = total - float(found @ weights[1:]), weight + float(weights.sum())
    return total / weight


def test_it_is_the_loss_of_either_base_on_the_validation_rows(world: Path, tmp_path: Path) -> None:
    with start(tw.load_recipe(world, QUICK), workspace=tmp_path / "ws") as job:
        gap = quantisation_gap(job, job.load_base())
        table = token_tables(job)["validation"]
        plain = load_base(job.base_files(), dtype=job.environment()["dtype"]).model  # with its own attention
        rows = [(table.tokens(row), table.weights(row)) for row in range(len(table))]
        assert gap is not None
        assert (gap.bits, gap.part, gap.rows, gap.of) == (8, "validation", 12, 12)
        assert gap.full == pytest.approx(plain_loss(plain, rows), rel=1e-4)
        qlora.prepare(plain, qlora.Config(bits=8))
        assert gap.quantised == pytest.approx(plain_loss(plain, rows), rel=1e-4)
        assert gap.quantised != gap.full
        # Once in a run's life.
        assert quantisation_gap(job, object()) == gap  # type: ignore[arg-type]


def test_it_is_told_and_kept_and_shown(world: Path, result: Any, heard: list[Event]) -> None:
    workspace = tw.Workspace.open(world.parent / "ws")
    kept = Gap(**workspace.find_run(result.run).manifest["quantisation"])
    assert [e.text for e in heard if isinstance(e, Message) and "Quantising" in e.text] == [
        f"Quantising the base: {kept}."
    ]
    (told,) = [e.values for e in heard if isinstance(e, Metrics) and e.stage == "quantisation"]
    assert told == {"full_loss": kept.full, "quantised_loss": kept.quantised}
    assert str(kept) in result.report.read_text(encoding="utf-8")
    (card,) = workspace.artifacts("release")
    assert f"The base was quantised: {kept}." in (card.path / "README.md").read_text(encoding="utf-8")


def test_the_words() -> None:
    assert str(Gap(2.3454, 2.3611, 4, "validation", 64, 1200)) == (
        "loss 2.345 as it is, 2.361 in 4 bits (+0.016 nats a token), on 64 of 1,200 validation rows"
    )


def test_no_more_rows_than_are_needed_and_training_rows_where_there_are_no_others(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "ROWS", 5)
    recipe = tw.load_recipe(world, [*QUICK, "data.split.validation=0"])
    with start(recipe, workspace=tmp_path / "ws") as job:
        gap = quantisation_gap(job, job.load_base())
    assert gap is not None
    assert (gap.part, gap.rows, gap.of) == ("train", 5, 96)


def test_a_base_that_stays_as_it_is_is_not_measured(world: Path, tmp_path: Path) -> None:
    with start(tw.load_recipe(world, [*QUICK, "method=lora"]), workspace=tmp_path / "ws") as job:
        assert quantisation_gap(job, object()) is None  # type: ignore[arg-type]
    assert "quantisation" not in job.run.manifest
