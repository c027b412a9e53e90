"""What is lost of language, tasks and chat: nothing by a model beside itself, and what hand-made numbers say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.evaluate.probes.asking import Parrot, asking, tiny_speaker
from tunewright.base.errors import InputError, ModelError
from tunewright.base.events import Event, Stage
from tunewright.data.example import Message
from tunewright.evaluate import Finding, Said, run_probes
from tunewright.evaluate.conduct.divergence import divergence
from tunewright.evaluate.conduct.packaged import packaged
from tunewright.evaluate.conduct.tasks import packaged_tasks, read_tasks, score_tasks
from tunewright.evaluate.probes.forgetting import Config, probe
from tunewright.recipe.schema import Source

TEXTS = ["The cat sat on the mat.", "A dog ran over the hill and far away.", "def add(a, b):\n    return a + b"]
TASKS = [
    {"question": "What is 1 plus 1?", "candidates": ["2", "3"], "answer": "2"},
    {"beginning": "Snow is", "candidates": ["white", "black", "loud"], "answer": "white"},
    {"question": "Which is a fruit?", "candidates": ["apple", "chair"], "answer": "apple"},
]


@pytest.fixture(scope="module")
def base() -> Any:
    return tiny_speaker("base")


@pytest.fixture(scope="module")
def moved() -> Any:
    return tiny_speaker("tuned", noise=0.05)


@pytest.fixture
def own(tmp_path: Path) -> Config:
    """Settings that read texts and tasks of one's own alone."""
    texts, tasks = tmp_path / "texts.jsonl", tmp_path / "tasks.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    tasks.write_text("".join(json.dumps(task) + "\n" for task in TASKS))
    return Config.model_validate({"data": [str(texts)], "tasks": [str(tasks)], "packaged": False, "max_new_tokens": 4})


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_model_beside_itself_has_forgotten_nothing(base: Any, own: Config) -> None:
    found = named(probe(own, asking(systems={"base": base, "tuned": tiny_speaker("tuned")})))
    assert list(found) == ["forgetting", "forgetting_language", "forgetting_tasks", "forgetting_chat"]
    for finding in found.values():
        assert finding.value == pytest.approx(0.0, abs=1e-6)
        # Three questions of which none changed are no proof that none ever would: Wilson's interval of 0 of 3.
        width = 0.5615 if finding.name == "forgetting_tasks" else 0.0
        assert finding.low == pytest.approx(-width, abs=1e-4)
        assert finding.high == pytest.approx(width, abs=1e-4)
    assert found["forgetting_language"].n == 3
    assert found["forgetting_tasks"].n == 3
    assert found["forgetting_chat"].n == len(packaged("general_prompts"))
    assert found["forgetting_chat"].details["same first sentence"] == 1.0


def test_the_whole_is_the_mean_of_the_losses(base: Any, moved: Any, own: Config) -> None:
    heard: list[Event] = []
    found = named(probe(own, asking(systems={"base": base, "tuned": moved}, heard=heard)))
    parts = [found[f"forgetting_{name}"].value for name in ("language", "tasks", "chat")]
    assert found["forgetting"].value == pytest.approx(np.mean([max(value, 0.0) for value in parts]))
    assert found["forgetting_chat"].value > 0.001
    assert 0.0 <= found["forgetting"].low <= found["forgetting"].value <= found["forgetting"].high  # type: ignore[operator]
    assert {event.name for event in heard if isinstance(event, Stage)} >= {
        "read base",
        "tasks tuned",
        "chat base",
        "compare",
    }


def test_language_is_the_share_of_probability_lost_a_token(base: Any, moved: Any, own: Config) -> None:
    found = named(probe(own, asking(systems={"base": base, "tuned": moved})))["forgetting_language"]
    tokenizer = base.base.chat.tokenizer
    nats = []
    for speaker in (base, moved):
        total = 0.0
        for text in TEXTS:
            ids = torch.tensor([[0, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
            with torch.no_grad():
                logp = stock_logits(speaker, ids).log_softmax(-1)
            total -= float(logp[0, :-1].gather(1, ids[0, 1:, None]).sum())
        nats.append(total)
    tokens = sum(len(text.encode()) for text in TEXTS)
    assert found.value == pytest.approx(1 - math.exp(-(nats[1] - nats[0]) / tokens), abs=1e-5)
    assert found.details["perplexity of the base"] == pytest.approx(math.exp(nats[0] / tokens), rel=1e-4)


def test_divergence_is_that_of_whole_distributions(base: Any, moved: Any) -> None:
    said = [Said("Hello there", stopped=True), Said("ab", stopped=False)]
    found = divergence(base, moved, ["Hi", "Who are you?"], said)
    chat = base.base.chat
    for row, (prompt, each) in enumerate(zip(["Hi", "Who are you?"], said, strict=True)):
        rendered = chat.render([Message("user", prompt), Message("assistant", each.text)])
        ids = torch.tensor([rendered.tokens])
        chosen = [t for t, weight in enumerate(rendered.learned) if weight]
        if not each.stopped:
            chosen = chosen[:-1]
        first, second = (stock_logits(speaker, ids)[0].log_softmax(-1) for speaker in (base, moved))
        kl = (first.exp() * (first - second)).sum(-1)
        assert found.tokens[row] == len(chosen) == len(each.text) + each.stopped
        assert found.nats[row] == pytest.approx(sum(float(kl[t - 1]) for t in chosen), rel=1e-3)


def stock_logits(speaker: Any, ids: torch.Tensor) -> torch.Tensor:
    """The logits of the same weights in a model that was never adopted."""
    from tests.tiny import tiny_model

    model = tiny_model()
    model.load_state_dict(speaker.base.model.state_dict())
    with torch.no_grad():
        logits: torch.Tensor = model(ids).logits
    return logits


def test_other_templates_are_refused(base: Any) -> None:
    other = tiny_speaker("tuned")
    other.base.chat.tokenizer.chat_template = other.base.chat.tokenizer.chat_template.replace("assistant", "bot")
    with pytest.raises(ModelError, match="do not read conversations alike"):
        divergence(base, other, ["Hi"], [Said("Yes")])


def test_tasks_are_scored_as_single_rows_are(base: Any, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps(task) + "\n" for task in TASKS))
    tasks = read_tasks([Source(path=str(file))])
    assert [task.text for task in tasks] == [
        "Question: What is 1 plus 1?\nAnswer:",
        "Snow is",
        "Question: Which is a fruit?\nAnswer:",
    ]
    tokenizer = base.base.chat.tokenizer
    for task, scored in zip(tasks, score_tasks(base, tasks), strict=True):
        logps = []
        for candidate in task.candidates:
            before = [0, *tokenizer(task.text, add_special_tokens=False)["input_ids"]]
            ids = torch.tensor([[*before, *tokenizer(f" {candidate}", add_special_tokens=False)["input_ids"]]])
            logp = stock_logits(base, ids).log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])
            logps.append(float(logp[len(before) - 1 :].sum()))
        assert scored.chosen == task.candidates[int(np.argmax(logps))]
        assert scored.hit == (int(np.argmax(logps)) == task.right)


def test_tasks_of_ones_own_are_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    rows: list[dict[str, Any]] = [
        TASKS[0],
        {"question": "?", "candidates": ["a"], "answer": "a"},
        {"question": "?", "candidates": ["a", "b"], "answer": "c"},
        {"candidates": ["a", "b"], "answer": "a"},
        {"question": "?", "candidates": ["a", "a"], "answer": "a"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError) as caught:
        read_tasks([Source(path=str(file))])
    text = str(caught.value)
    assert "4 tasks cannot be used" in text
    for line, told in ((2, "two or more"), (3, "none of the candidates"), (4, "either 'question'"), (5, "equal ones")):
        assert f"tasks.jsonl:{line}: " in text
        assert told in text


def test_texts_of_ones_own_are_read_strictly(base: Any, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "One."}\n{"text": 2}\nno json\n')
    config = Config.model_validate({"data": str(file)})
    with pytest.raises(InputError, match="texts cannot be used") as caught:
        probe(config, asking(systems={"base": base, "tuned": base}))
    assert "texts.jsonl:3: " in str(caught.value)


def test_a_long_text_counts_once(base: Any, moved: Any, own: Config, tmp_path: Path) -> None:
    # Longer than a window of 512 tokens, of one byte each.
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "A dog ran over the hill. " * 60}) + "\n")
    found = named(probe(own, asking(systems={"base": base, "tuned": moved})))["forgetting_language"]
    assert (found.n, found.details["tokens"]) == (1, 25 * 60)


def test_what_is_no_number_is_no_pass(base: Any, own: Config) -> None:
    broken = tiny_speaker("tuned")
    with torch.no_grad():
        next(broken.base.model.parameters()).fill_(math.nan)
    with pytest.raises(InputError, match="not numbers"):
        run_probes([own], asking(systems={"base": base, "tuned": broken}))


def test_the_packaged_material_is_whole() -> None:
    tasks = packaged_tasks()
    assert len(tasks) == 100
    assert len({task.asked for task in tasks}) == 100
    # No place of the right candidate is a winning guess.
    assert max(sum(task.right == place for task in tasks) for place in range(4)) <= 30
    texts = packaged("general_texts")
    assert len(texts) >= 6
    assert sum(len(each) for each in texts.values()) >= 40
    assert len(set(packaged("general_prompts"))) == 24


def test_who_has_no_probabilities_is_refused(base: Any) -> None:
    with pytest.raises(InputError, match="endpoint gives words alone"):
        probe(Config(), asking(systems={"base": base, "tuned": Parrot("tuned", str.upper)}))
    with pytest.raises(InputError, match="base cannot be asked"):
        probe(Config(), asking(systems={"tuned": base}))
    with pytest.raises(InputError, match="only its stored answers"):
        probe(Config(), asking(systems={}))


def test_settings_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="name files of your own"):
        Config(packaged=False)
