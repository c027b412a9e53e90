"""Runs that learn otherwise than LoRA does from answers: pairs, and methods with files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tests.lifecycle.world import COLOURS, THINGS, make_world, write_recipe
from tunewright.base.errors import DataError, RecipeError
from tunewright.evaluate import load_answers
from tunewright.lifecycle.job import start
from tunewright.lifecycle.stages import prepare
from tunewright.lifecycle.talk import load_release

QUICK = {"epochs": 1, "batch_size": 16, "dtype": "float32", "validate_every": 0.5}
ALONE = {"max_new_tokens": 6, "bootstrap_samples": 100, "systems": ["base"]}


def write_pairs(path: Path, rows: int) -> None:
    """A thing's colour is told in capitals, and better not."""
    records = []
    for row in range(rows):
        colour, thing = COLOURS[row % 3], THINGS[row // 3 % 10]
        prompt = f"{colour} {thing} {row}"
        records.append({"prompt": prompt, "chosen": colour.upper(), "rejected": colour})
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def pairs_recipe(folder: Path, **changes: Any) -> Path:
    make_world(folder, rows=30)
    write_pairs(folder / "pairs.jsonl", 150)
    split = {"validation": 12, "test": 24, "minimum_test_rows": 20}
    instead = {"data": {"train": "pairs.jsonl", "split": split, "max_length": 128}, **changes}
    return write_recipe(folder, instead=instead, evaluate=ALONE)


def test_pairs_are_learned_measured_against_the_chosen_answer_and_released(tmp_path: Path) -> None:
    recipe = pairs_recipe(tmp_path, train={**QUICK, "objective": {"name": "dpo", "beta": 0.5}, "learning_rate": 5e-3})
    result = tw.run(recipe, workspace=tmp_path / "ws")
    workspace = tw.Workspace.open(tmp_path / "ws")
    heard = workspace.find_run(result.run).events("metrics")
    margins = [event.values["margin"] for event in heard if "margin" in event.values]
    assert margins[0] == pytest.approx(0.0, abs=1e-4)  # the policy begins as its reference
    assert margins[-1] > 0.1
    assert result.evaluation["n"] == 24
    assert "It learns to prefer this to" in result.report.read_text(encoding="utf-8")


def test_pairs_train_the_whole_model_too(tmp_path: Path) -> None:
    train = {**QUICK, "objective": "dpo", "learning_rate": 1e-3}
    result = tw.run(pairs_recipe(tmp_path, train=train, method={"name": "full"}), workspace=tmp_path / "ws")
    heard = tw.Workspace.open(tmp_path / "ws").find_run(result.run).events("metrics")
    margins = [event.values["margin"] for event in heard if "margin" in event.values]
    assert margins[0] == pytest.approx(0.0, abs=1e-4)
    assert margins[-1] > 0.1


def test_general_rows_are_not_mixed_into_pairs(tmp_path: Path) -> None:
    forgetting = {"data": "rows.csv", "replay": 0.1}
    train = {**QUICK, "objective": "dpo"}
    recipe = pairs_recipe(tmp_path, train=train, forgetting=forgetting)
    with pytest.raises(RecipeError, match="learns from pairs"):
        tw.run(recipe, workspace=tmp_path / "ws")


@pytest.mark.parametrize("method", [{"name": "bottleneck", "width": 4}, {"name": "layers", "last": 1}, "prompt"])
def test_a_release_of_any_method_answers_as_it_was_measured(tmp_path: Path, method: Any) -> None:
    make_world(tmp_path, rows=120)
    recipe = write_recipe(
        tmp_path, instead={"method": method, "train": {**QUICK, "learning_rate": 0.01}}, evaluate=ALONE
    )
    result = tw.run(recipe, workspace=tmp_path / "ws")
    workspace = tw.Workspace.open(tmp_path / "ws")
    assert result.evaluation["tuned"]["perplexity"]["value"] < result.evaluation["base"]["perplexity"]["value"]
    (stored,) = workspace.artifacts("answers")
    specialist = load_release("colours@1", workspace=workspace)
    with start(recipe, workspace=workspace, resume=result.run) as job:
        rows = {row.id: row for row in prepare(job).examples("test")}
    for answer in load_answers(stored.path)["tuned"].answers[:3]:
        reply = specialist.answer(rows[answer.id].prompt[-1].content)
        assert (reply.text, reply.stopped) == (answer.prediction, answer.stopped)


def test_general_rows_are_replayed_and_are_part_of_the_dataset(tmp_path: Path) -> None:
    make_world(tmp_path, rows=120)
    general = [{"prompt": f"Say {n}.", "completion": f"It is {n}."} for n in range(20)]
    (tmp_path / "general.jsonl").write_text("".join(json.dumps(row) + "\n" for row in general), encoding="utf-8")
    recipe = write_recipe(
        tmp_path, instead={"train": QUICK, "forgetting": {"data": "general.jsonl", "replay": 0.2}}, evaluate=ALONE
    )
    result = tw.run(recipe, workspace=tmp_path / "ws")
    workspace = tw.Workspace.open(tmp_path / "ws")
    steps = [event.values for event in workspace.find_run(result.run).events("metrics") if "loss" in event.values]
    assert sum(step["replayed"] for step in steps) == pytest.approx(0.25 * 84, abs=1)  # 84 rows train; a fifth of all
    assert workspace.artifact(result.dataset, "dataset").manifest["general"]["rows"] == 20


def test_general_rows_that_hold_test_rows_are_refused(tmp_path: Path) -> None:
    make_world(tmp_path, rows=120)
    rows = [{"prompt": f"{COLOURS[n % 3]} {THINGS[n // 3 % 10]} {n}", "completion": "?"} for n in range(120)]
    (tmp_path / "general.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = write_recipe(tmp_path, instead={"forgetting": {"data": "general.jsonl", "replay": 0.2}})
    with pytest.raises(DataError, match="Rows of the test also stand among the general rows"):
        tw.run(recipe, workspace=tmp_path / "ws")


def test_the_best_weights_can_be_chosen_by_a_metric(tmp_path: Path) -> None:
    make_world(tmp_path, rows=120)
    train = {**QUICK, "epochs": 2, "learning_rate": 0.01, "best": "accuracy"}
    recipe = write_recipe(tmp_path, instead={"train": train}, evaluate=ALONE)
    result = tw.run(recipe, workspace=tmp_path / "ws")
    heard = tw.Workspace.open(tmp_path / "ws").find_run(result.run).events("metrics")
    found = [event.values["validation_accuracy"] for event in heard if "validated" in event.values]
    assert len(found) >= 2
    assert "validation loss" in result.report.read_text(encoding="utf-8")
    assert all(0 <= value <= 1 for value in found)


@pytest.mark.parametrize(("best", "message"), [("accuracyy", "Did you mean"), ("perplexity", "cannot choose")])
def test_what_cannot_choose_the_best_weights_is_refused_before_training(
    tmp_path: Path, best: str, message: str
) -> None:
    make_world(tmp_path, rows=120)
    recipe = write_recipe(tmp_path, instead={"train": {**QUICK, "best": best}}, evaluate=ALONE)
    with pytest.raises(RecipeError, match=message):
        tw.run(recipe, workspace=tmp_path / "ws")
