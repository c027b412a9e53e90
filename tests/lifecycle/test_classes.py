"""Labels and tags from rows to a release that answers as it was measured, on encoders and on a causal model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tunewright as tw
from tests.lifecycle.world import COLOURS, THINGS
from tests.tiny import tiny_folder
from tests.tiny_encoder import encoder_folder
from tunewright.base.errors import RecipeError
from tunewright.evaluate import load_answers
from tunewright.lifecycle.job import start
from tunewright.lifecycle.stages import prepare
from tunewright.lifecycle.talk import load_release
from tunewright.models.heads import FILE

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def labelled_rows(path: Path, rows: int) -> None:
    """The label is the colour that the text names."""
    made = [
        {"text": f"{COLOURS[n % 3]} {THINGS[n // 3 % 10]} {LETTERS[n // 30]}", "label": COLOURS[n % 3]}
        for n in range(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")


def tagged_rows(path: Path, rows: int) -> None:
    """Persons and places by name; each row has a letter of its own or two, so that none stands twice."""
    made = []
    for n in range(rows):
        person, place, own = ("ann", "bob")[n % 2], ("rome", "oslo")[n // 2 % 2], LETTERS[n // 4 % 26]
        words = [person, "visits", "the", place, "of", own, "today"]
        made.append({"tokens": words, "tags": ["B-PER", "O", "B-LOC", "I-LOC", "O", "O", "O"]})
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")


def recipe_of(folder: Path, *, rows: int = 160, **changes: Any) -> Path:
    """A recipe in a folder of its own; `changes` replace its sections."""
    folder.mkdir(parents=True, exist_ok=True)
    tags = changes.get("train", {}).get("objective") == "tag"
    (tagged_rows if tags else labelled_rows)(folder / "rows.jsonl", min(rows, 78 if not tags else 104))
    if not (folder / "base").exists():
        encoder_folder(folder / "base")
    recipe: dict[str, Any] = {
        "name": "classes",
        "goal": "Name the colour.",
        "base": "./base",
        "seed": 3,
        "data": {
            "train": "rows.jsonl",
            "steps": ["unicode", "whitespace"],
            "split": {"validation": 10, "test": 20, "minimum_test_rows": 20},
            "max_length": 64,
        },
        "method": {"name": "lora", "rank": 4},
        "train": {"objective": "classify", "epochs": 4, "batch_size": 8, "learning_rate": 1e-2, "dtype": "float32"},
        "evaluate": {"bootstrap_samples": 100},
    }
    recipe |= changes
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def check_release(recipe: Path, workspace: Path) -> dict[str, Any]:
    """Runs a recipe; its release must answer some test rows as they were measured. Gives the evaluation."""
    result = tw.run(recipe, workspace=workspace)
    place = tw.Workspace.open(workspace)
    (stored,) = place.artifacts("answers")
    specialist = load_release("classes@1", workspace=place)
    with start(recipe, workspace=place, resume=result.run) as job:
        rows = {row.id: row for row in prepare(job).examples("test")}
    for answer in load_answers(stored.path)["tuned"].answers[:6]:
        reply = specialist.answer(rows[answer.id].prompt[-1].content)
        assert (reply.text, reply.stopped) == (answer.prediction, answer.stopped)
        assert reply.probability == pytest.approx(answer.probability, rel=1e-5)
    assert (place.artifact(result.adapter, "adapter").path / FILE).exists()
    assert "base" not in result.evaluation  # a fresh head answers at random, and is not measured
    assert result.report.exists()
    return result.evaluation


def test_labels_of_an_encoder_from_rows_to_a_release(tmp_path: Path) -> None:
    found = check_release(recipe_of(tmp_path), tmp_path / "ws")
    assert found["answer_kind"] == "label"
    assert found["tuned"]["accuracy"]["value"] >= 0.9
    assert 1.0 <= found["tuned"]["perplexity"]["value"] < 2.5  # at random it would be 3
    assert found["bag_of_words"]["accuracy"]["value"] >= 0.9


def test_tags_of_an_encoder_from_rows_to_a_release(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, train={"objective": "tag", "epochs": 4, "batch_size": 8, "learning_rate": 1e-2})
    found = check_release(recipe, tmp_path / "ws")
    assert found["answer_kind"] == "tags"
    assert found["tuned"]["entity_f1"]["value"] >= 0.9
    assert found["bag_of_words"]["entity_f1"]["value"] >= 0.9
    assert found["confusion"]["tuned"]["labels"] == ["B-LOC", "B-PER", "I-LOC", "O"]


def test_labels_of_a_causal_model(tmp_path: Path) -> None:
    tiny_folder(tmp_path / "base")
    train = {"objective": "classify", "epochs": 6, "batch_size": 8, "learning_rate": 2e-2, "dtype": "float32"}
    found = check_release(recipe_of(tmp_path, train=train), tmp_path / "ws")
    assert found["tuned"]["accuracy"]["value"] >= 0.9


@pytest.mark.parametrize(
    "method", ["feature", "full", {"name": "layers", "last": 1}, {"name": "bottleneck", "width": 4}]
)
def test_every_method_that_fits_an_encoder_is_released(tmp_path: Path, method: Any) -> None:
    train = {"objective": "classify", "epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "dtype": "float32"}
    recipe = recipe_of(tmp_path, method=method, train=train, evaluate={"systems": [], "bootstrap_samples": 100})
    check_release(recipe, tmp_path / "ws")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"objective": "sft"}}, "cannot learn to write answers"),
        ({"train": {"objective": "tag"}, "data": {"train": "labels.jsonl"}}, "of the kind 'tags'"),
        ({"method": "prompt"}, "virtual tokens"),
        ({"train": {"objective": {"name": "classify", "class_weights": {"pink": 2}}}}, "'pink' is none of the classes"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(tmp_path: Path, changes: Any, message: str) -> None:
    labelled_rows(tmp_path / "labels.jsonl", 78)
    split = {"validation": 10, "test": 20, "minimum_test_rows": 20}
    if "data" in changes:
        changes = changes | {"data": changes["data"] | {"split": split}}
    recipe = recipe_of(tmp_path, **changes)
    with pytest.raises(RecipeError, match=message):
        tw.run(recipe, workspace=tmp_path / "ws")
    (run,) = tw.Workspace.open(tmp_path / "ws").runs(name="classes")
    assert not [event for event in run.events("metrics") if event.stage == "train"]
