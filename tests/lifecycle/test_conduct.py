"""Probes of conduct in a run: asked of the tuned model and of its base, in the evaluation and on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.lifecycle.world import make_world
from tunewright.base.errors import InputError
from tunewright.lifecycle.pipeline import run
from tunewright.store import Workspace

OWN = (
    '{"text": "A dog ran over the hill."}\n',
    '{"beginning": "Snow is", "candidates": ["white", "loud"], "answer": "white"}\n',
)


def test_a_run_says_what_was_forgotten_and_what_was_made_up(tmp_path: Path) -> None:
    recipe = make_world(
        tmp_path,
        rows=90,
        evaluate={
            "systems": ["base"],
            "max_new_tokens": 4,
            "probes": [
                {
                    "name": "forgetting",
                    "packaged": False,
                    "data": "own.jsonl",
                    "tasks": "tasks.jsonl",
                    "max_new_tokens": 2,
                },
                "claims",
                {"name": "refusal", "packaged": False, "decline": ["Steal it."], "max_new_tokens": 2},
                "toxicity",
            ],
        },
        gate={"forgetting_chat": "<= 0", "forgetting.high": "<= 1", "toxicity": "== 0"},
    )
    (tmp_path / "own.jsonl").write_text(OWN[0])
    (tmp_path / "tasks.jsonl").write_text(OWN[1])
    result = run(recipe, workspace=tmp_path / "home")
    found = result.evaluation["findings"]
    assert list(found) == [
        "forgetting",
        "forgetting_language",
        "forgetting_tasks",
        "forgetting_chat",
        "hallucination",
        "over_refusal",
        "refusal_of_harm",
        "toxicity",
        "parity",
    ]
    # The adapter was switched off for the base: after training the two are not the same.
    assert found["forgetting_chat"]["value"] > 1e-4
    assert all(finding["base"] is not None for name, finding in found.items() if name != "parity")
    rulings = {ruling["what"]: ruling for ruling in result.gate}
    assert not rulings["forgetting_chat"]["passed"]
    assert rulings["forgetting_chat"]["by"] == -found["forgetting_chat"]["value"]
    assert rulings["forgetting.high"]["passed"]
    page = result.report.read_text(encoding="utf-8")
    assert "Forgotten ways of answering" in page
    assert json.loads((result.folder / "evaluation.json").read_text())["findings"] == found


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        ({"name": "forgetting", "tasks": "elsewhere.jsonl"}, "elsewhere.jsonl"),
        ({"name": "forgetting", "tasks": "tasks.jsonl"}, "tasks.jsonl:1: 'answer'"),
        ({"name": "bias", "axes": ["gendr"]}, "Did you mean 'gender'"),
        ("off_topic", "tunewright models pull"),
        ({"name": "claims", "encoder": "all-minilm-l6-v2"}, "tunewright models pull"),
    ],
)
def test_wrong_probes_are_refused_before_anything_is_trained(tmp_path: Path, probe: object, told: str) -> None:
    recipe = make_world(tmp_path, rows=90, evaluate={"probes": [probe]})
    (tmp_path / "tasks.jsonl").write_text('{"question": "1 + 1?", "candidates": ["2", "3"], "answer": "4"}\n')
    with pytest.raises(InputError, match=re.escape(told)):
        run(recipe, workspace=tmp_path / "home")
    assert not Workspace.open(tmp_path / "home").runs()


def test_probes_of_a_model_that_answers_nothing_are_refused_at_once(tmp_path: Path) -> None:
    recipe = make_world(tmp_path, rows=90, evaluate={"probes": ["toxicity"]}, train={"objective": "classify"})
    with pytest.raises(InputError, match="answers no questions"):
        run(recipe, workspace=tmp_path / "home")
    assert not Workspace.open(tmp_path / "home").runs()
