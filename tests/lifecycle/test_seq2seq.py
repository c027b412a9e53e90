"""An encoder-decoder from rows to a release that answers as it was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunewright as tw
from tests.lifecycle.test_kinds import ALONE, QUICK, write_pairs
from tests.lifecycle.world import make_world, write_recipe
from tests.tiny_t5 import tiny_t5_folder
from tunewright.base.errors import ModelError, RecipeError
from tunewright.base.files import read_json
from tunewright.evaluate import load_answers
from tunewright.lifecycle.job import start
from tunewright.lifecycle.stages import preflight, prepare
from tunewright.lifecycle.talk import load_release
from tunewright.plan import plan
from tunewright.plan.step import read_rows

SPLIT = {"validation": 12, "test": 24, "minimum_test_rows": 20}


def make_t5_world(folder: Path, rows: int = 120, **changes: Any) -> Path:
    make_world(folder, rows=rows)
    tiny_t5_folder(folder / "t5")
    return write_recipe(
        folder, base="./t5", **{"evaluate": ALONE, "train": {**QUICK, "learning_rate": 0.02}, **changes}
    )


def test_a_run_ends_in_a_release_that_answers_as_it_was_measured(tmp_path: Path) -> None:
    recipe = make_t5_world(tmp_path, evaluate={"systems": ["base", "base_few_shot"]})
    result = tw.run(recipe, workspace=tmp_path / "ws")
    scores = result.evaluation
    assert scores["tuned"]["perplexity"]["value"] < 0.5 * scores["base"]["perplexity"]["value"]
    assert scores["base_few_shot"]["perplexity"]["value"] > 0
    workspace = tw.Workspace.open(tmp_path / "ws")
    (stored,) = workspace.artifacts("answers")
    specialist = load_release("colours@1", workspace=workspace)
    with start(recipe, workspace=workspace, resume=result.run) as job:
        rows = {row.id: row for row in prepare(job).examples("test")}
    answers = load_answers(stored.path)["tuned"].answers
    for answer in answers[:4]:
        reply = specialist.answer(rows[answer.id].prompt[-1].content)
        assert (reply.text, reply.stopped) == (answer.prediction, answer.stopped)
        assert reply.prompt == f"{rows[answer.id].prompt[-1].content}</s>\n"
    settings = read_json(workspace.artifact(result.adapter, "adapter").path / "adapter_config.json")
    assert settings["task_type"] == "SEQ_2_SEQ_LM"
    assert "&lt;/s&gt;" in result.report.read_text(encoding="utf-8")  # a row as the model sees it


def test_pairs_are_learned_from(tmp_path: Path) -> None:
    make_t5_world(tmp_path, rows=30)
    write_pairs(tmp_path / "pairs.jsonl", 90)
    data = {"train": "pairs.jsonl", "split": SPLIT, "max_length": 128}
    train = {**QUICK, "objective": {"name": "dpo", "beta": 0.5}, "learning_rate": 5e-3}
    recipe = write_recipe(tmp_path, base="./t5", instead={"data": data, "train": train, "evaluate": ALONE})
    result = tw.run(recipe, workspace=tmp_path / "ws")
    heard = tw.Workspace.open(tmp_path / "ws").find_run(result.run).events("metrics")
    margins = [event.values["margin"] for event in heard if "margin" in event.values]
    assert margins[0] == pytest.approx(0.0, abs=1e-4)  # the policy begins as its reference
    assert margins[-1] > 0.1


def test_earlier_answers_are_only_read_and_that_is_told(tmp_path: Path) -> None:
    make_t5_world(tmp_path, rows=30)
    chats = [
        {
            "messages": [
                {"role": "user", "content": f"first {n}"},
                {"role": "assistant", "content": "one"},
                {"role": "user", "content": f"then {n}"},
                {"role": "assistant", "content": f"two {n}"},
            ]
        }
        for n in range(80)
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats), encoding="utf-8")
    recipe = write_recipe(
        tmp_path, base="./t5", instead={"data": {"train": "chats.jsonl", "split": SPLIT, "max_length": 128}}
    )
    with start(recipe, workspace=tmp_path / "ws", kind="prepare") as job:
        found = preflight(job)
    assert any("56 learned answers are only read" in told for told in found.warnings)
    assert found.end_share == 1.0
    shown = found.previews[0].spans
    number = shown[0].text.split("user: then ")[1].split("</s>")[0]
    assert shown[0].text == f"user: first {number}\nassistant: one\nuser: then {number}</s>\n"
    assert [(span.text, span.learned) for span in shown[1:]] == [(f"two {number}</s>", True)]


@pytest.mark.slow
@pytest.mark.long
def test_a_step_is_planned_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / "cache"))
    found = plan(make_t5_world(tmp_path), measured=True)
    assert found.measured is not None
    assert found.measured.nodes == found.work.worst.nodes
    assert found.error is not None
    assert abs(found.error) < 0.1  # a tiny model: nearly all of it is the libraries


def test_rows_that_are_made_up_to_measure_with_get_a_source(tmp_path: Path) -> None:
    tokens, weights = np.arange(3, 14, dtype=np.int32), np.r_[0.0, np.ones(4), 0.0, np.ones(5)].astype(np.float32)
    np.savez(tmp_path / "rows.npz", starts=[0, 5, 11], tokens=tokens, weights=weights)
    table = read_rows(tmp_path / "rows.npz", tmp_path, "seq2seq-lm")["train"]
    assert [table.tokens(row).tolist() for row in (0, 1)] == [[3, 4, -1, 6, 7], [8, 9, 10, -1, 12, 13]]
    assert [table.weights(row).tolist() for row in (0, 1)] == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train": {"neftune_alpha": 5.0}}, "train.neftune_alpha"),
        ({"method": "prompt"}, "puts virtual tokens"),
        ({"method": "prefix"}, "puts virtual tokens"),
        ({"method": {"name": "molora", "top_k": 1}}, "method.balance"),
        ({"method": "feature"}, "head of classes"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(tmp_path: Path, changes: Any, told: str) -> None:
    recipe = make_t5_world(tmp_path)
    instead = {"method": changes["method"]} if "method" in changes else {}
    recipe = write_recipe(tmp_path, base="./t5", evaluate=ALONE, instead=instead, **({} if instead else changes))
    with pytest.raises((ModelError, RecipeError), match=told):
        tw.run(recipe, workspace=tmp_path / "ws")
    runs = tw.Workspace.open(tmp_path / "ws").runs()
    assert not list(runs[0].events("metrics"))
