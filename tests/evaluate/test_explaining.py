from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.made import example
from tests.evaluate.probes.asking import Parrot, answered, asking
from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import InputError, ModelError
from tunewright.base.plugins import METHODS
from tunewright.evaluate import LocalSpeaker, run_probes
from tunewright.evaluate.explaining import Explanation, choose_rows, details_of, explain, words_of
from tunewright.evaluate.probes.explain import Config
from tunewright.forest import layout
from tunewright.lifecycle.report import findings
from tunewright.lifecycle.report.explanation import render_explanations
from tunewright.models.adapters import learned_weights
from tunewright.models.chat import ChatFormat

pytest.importorskip("captum")

TOKENIZER = tiny_tokenizer()
ROWS = [example(row, f"colour {row}", "red" if row % 2 else "<b>blue</b>") for row in range(6)]


@pytest.fixture(scope="module")
def speaker() -> Any:
    """A tiny model with an adapter that does something; a smooth one, so that few steps are enough."""
    import torch

    model = tiny_model(initializer_range=0.05)
    layout.adopt(model)
    base: Any = SimpleNamespace(chat=ChatFormat(TOKENIZER), model=model)
    tuned = METHODS.call("lora", "attach", model, METHODS.config("lora")(rank=2), 3)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
    tuned.requires_grad_(False).eval()
    tuned.learned_names = tuple(name for name, _ in tuned.named_parameters() if "lora_" in name)
    return LocalSpeaker("tuned", base, lambda: nullcontext(tuned))


@pytest.fixture(scope="module")
def explained(speaker: Any) -> Explanation:
    with speaker.model() as model:
        return explain(model, speaker.base.chat, ROWS[1].prompt, "red", ROWS, shown=2)


def test_an_answer_is_explained_by_its_prompt_and_by_rows_that_can_be_found(explained: Explanation) -> None:
    text = "".join(word.text for word in explained.words)
    assert "colour 1" in text
    assert text.startswith("<|im_start|>system")
    assert sum(word.weight for word in explained.words) == pytest.approx(sum(explained.attribution.shares), abs=1e-5)
    assert explained.attribution.complete
    # The row itself was learned, and teaches itself.
    assert explained.toward[0].id == "row1"
    assert explained.toward[0].similarity == pytest.approx(1, abs=1e-4)
    assert explained.toward[0].place == "made.jsonl:1"
    assert explained.rows == 6


def test_the_json_and_the_page_hold_it_all(explained: Explanation) -> None:
    value = explained.as_json()
    assert value["complete"] is True
    assert value["training"]["toward"][0]["place"] == "made.jsonl:1"
    page = render_explanations("<i>colours</i>", [explained])
    assert "<i>colours" not in page
    assert 'class="for"' in page or 'class="against"' in page
    parts = findings.parts_of(details_of([explained]))
    assert parts[0]["words"]
    assert parts[1]["heads"] == ["row", "speaks", "similarity", "question", "answer"]


def test_an_empty_answer_is_refused(speaker: Any) -> None:
    with speaker.model() as model, pytest.raises(InputError, match="empty answer"):
        explain(model, speaker.base.chat, ROWS[1].prompt, "  ", ROWS)


def test_a_model_without_an_adapter_learned_nothing() -> None:
    with pytest.raises(ModelError, match="no adapter"):
        learned_weights(object())


def test_the_probe_explains_wrong_and_right_answers_in_turn(speaker: Any, tmp_path: Path) -> None:
    given = answered("tuned", ROWS, [row.answer if number < 3 else "green" for number, row in enumerate(ROWS)])
    asked = asking(ROWS, answers={"tuned": given}, systems={"tuned": speaker}, training=ROWS, cache=tmp_path)
    (finding,) = run_probes([Config(answers=2, training_rows=4)], asked)
    assert finding.name == "explanation_gap"
    assert finding.n == 2
    assert finding.value < 0.05
    titles = [title for title in finding.details if "→" in title]
    assert titles[0].endswith("→ green")
    assert not titles[1].endswith("→ green")
    assert finding.details["training rows looked at"] == "4 of 6"


def test_a_model_behind_an_endpoint_cannot_be_explained(tmp_path: Path) -> None:
    given = {"tuned": answered("tuned", ROWS, ["x"] * 6)}
    asked = asking(ROWS, answers=given, systems={"tuned": Parrot("tuned", str)}, cache=tmp_path)
    with pytest.raises(InputError, match="gradients"):
        run_probes([Config()], asked)


@given(st.text(max_size=30), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_words_make_up_the_text_and_keep_the_weight(text: str, seed: int) -> None:
    tokens = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    weights = [((place * 7 + seed) % 5) - 2.0 for place in range(len(tokens))]
    words = words_of(TOKENIZER, tokens, weights)
    assert "".join(word.text for word in words) == TOKENIZER.decode(tokens)
    assert sum(word.weight for word in words) == pytest.approx(sum(weights))


def test_rows_are_drawn_with_the_seed() -> None:
    assert choose_rows(ROWS, 10, 1) == ROWS
    assert choose_rows(ROWS, 3, 1) == choose_rows(ROWS, 3, 1)
    assert len(choose_rows(ROWS, 3, 1)) == 3
