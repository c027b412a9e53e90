"""Continued pre-training from files to a release: a base without a chat template learns a text, and goes on with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lifecycle.world import write_recipe
from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import RecipeError
from tunewright.lifecycle.pipeline import run
from tunewright.lifecycle.talk import load_release


def make_corpus(folder: Path, **data: object) -> Path:
    """Documents of one kind, a base without a chat template, and the recipe."""
    (folder / "base").mkdir(parents=True)
    tiny_model().save_pretrained(folder / "base")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder / "base")
    texts = [f"red green blue {n} red green blue" for n in range(90)]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    split = {"validation": 6, "test": 12, "minimum_test_rows": 5}
    return write_recipe(
        folder,
        instead={
            "data": {"train": "rows.jsonl", "split": split, "max_length": 64, **data},
            "success": {"bits_per_byte": "< 6.5"},
        },
        train={"objective": "cpt", "batch_size": 8, "learning_rate": 2.0e-2},
    )


@pytest.mark.slow
def test_from_documents_to_a_release_that_goes_on(tmp_path: Path) -> None:
    found = run(make_corpus(tmp_path), workspace=tmp_path / "workspace")
    base, tuned = found.evaluation["base"], found.evaluation["tuned"]
    assert set(found.evaluation) >= {"base", "tuned", "answer_kind"}
    assert tuned["bits_per_byte"]["value"] < base["bits_per_byte"]["value"] - 0.5
    assert tuned["bits_per_byte"]["low"] < tuned["bits_per_byte"]["value"] < tuned["bits_per_byte"]["high"]
    assert found.passed == (tuned["bits_per_byte"]["value"] < 6.5)
    assert "Bits per byte" in found.report.read_text(encoding="utf-8")
    specialist = load_release(found.release, workspace=tmp_path / "workspace")
    assert specialist.answer("red green").prompt == "red green"


def test_rows_longer_than_the_context_are_refused_before_training(tmp_path: Path) -> None:
    recipe = make_corpus(tmp_path, max_length=4096)
    with pytest.raises(RecipeError, match="4,096 tokens are more than the base's context of 2,048"):
        run(recipe, workspace=tmp_path / "workspace")
