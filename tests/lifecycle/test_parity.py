"""What was trained is what is served, or the first difference is named."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import CHAT_TEMPLATE, tiny_folder
from tests.tiny_t5 import tiny_t5_folder
from tunewright.base.errors import GateFailedError, InputError
from tunewright.base.plugins import METHODS
from tunewright.data.example import Example, Message
from tunewright.lifecycle import parity_ways
from tunewright.lifecycle.parity import Parity, bounds, check_parity
from tunewright.lifecycle.parity_ways import Seen, Subject, message_of
from tunewright.models.adapters import save_adapter
from tunewright.models.base import load_base
from tunewright.models.files import BaseFiles
from tunewright.recipe import recipe_from_mapping

SYSTEM = "Name the colour."


def rows() -> list[Example]:
    asked = [("a red  apple", "red"), ("the blue door, as wide as a house", "blue"), ("green", "green")]
    return [
        Example(
            f"row{n}",
            (Message("system", SYSTEM), Message("user", text), Message("assistant", answer, 1.0)),
            {},
            "made.csv",
            n,
        )
        for n, (text, answer) in enumerate(asked, start=1)
    ]


def made(folder: Path, method: str = "lora", dtype: Any = "float32", **settings: Any) -> Subject:
    """A tiny base with an adapter whose every weight is drawn at random, saved as a release would have it."""
    seq2seq = settings.pop("seq2seq", False)
    place = (tiny_t5_folder if seq2seq else tiny_folder)(folder / "base", 1)
    files = BaseFiles("tiny", place, "0" * 64, "made", "apache-2.0", 2048, "seq2seq-lm" if seq2seq else "causal-lm")
    config = METHODS.config(method)(**settings)
    base = load_base(files)
    model = METHODS.call(method, "attach", base.model, config, 0)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(5)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.copy_(torch.randn_like(weight) * 0.3)
    (folder / "adapter").mkdir()
    save_adapter(model, folder / "adapter", method=config, base=files, chat_fingerprint=base.chat.fingerprint)
    recipe = recipe_from_mapping(
        {
            "name": "colours",
            "goal": "g",
            "data": {"train": str(folder / "rows.jsonl"), "format": "chat", "steps": ["whitespace"]},
            "method": config.model_dump(),
        },
        where="recipe.yaml",
    )
    template = {
        "format": "chat",
        "template": None,
        "system": SYSTEM,
        "tools": [],
        "chat_template": base.chat.template,
        "chat_fingerprint": base.chat.fingerprint,
    }
    return Subject("colours@1", files, dtype, "cpu", folder / "adapter", recipe, template, folder / "cache")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return made(tmp_path_factory.mktemp("parity"))


CLEAN = rows()[1:]  # the first one's two blanks are what cleaning would have made one of


def test_all_ways_agree(subject: Subject) -> None:
    found = check_parity(subject, CLEAN)
    assert found.mismatch == ""
    assert list(found.ways) == [
        "plain transformers",
        "evaluation",
        "served",
        "merged",
        "adapter reloaded",
        "merged, reloaded",
    ]
    assert {way.rows for way in found.ways.values()} == {2}
    assert all(way.largest <= way.allowed == 1e-4 for way in found.ways.values())
    assert (found.rows, found.tokens, found.left_out) == (2, 4 + 5 + 2, {})  # a token a letter, and two end tokens
    found.require()
    quick = check_parity(subject, CLEAN, thorough=False)
    assert "adapter reloaded" not in quick.ways
    assert quick.finding().value == 1
    assert quick.verdicts() == []


@pytest.mark.parametrize(
    ("method", "settings"), [("prompt", {"tokens": 3}), ("bottleneck", {"width": 4}), ("lora", {"seq2seq": True})]
)
def test_other_methods_and_families(tmp_path: Path, method: str, settings: dict[str, Any]) -> None:
    found = check_parity(made(tmp_path, method, **settings), CLEAN)
    assert found.mismatch == ""
    assert ("merged" in found.ways) == (method == "lora")
    assert found.left_out == ({} if method == "lora" else {"merged": found.left_out["merged"]})


def test_another_chat_template_is_named_with_its_first_token(subject: Subject) -> None:
    """The base's template is no longer the one that training rendered with."""
    before = CHAT_TEMPLATE.replace("'\\n'", "'\\n'").replace("<|im_end|>\n", "<|im_end|>!", 1)
    changed = replace(subject, template={**subject.template, "chat_template": before})
    found = check_parity(changed, CLEAN)
    at = len("SYSTEMsystem\n" + SYSTEM) - len("SYSTEM") + 2 + 1  # markers are a token each, and letters too
    assert found.mismatch == (
        f"Row row2: the prompt differs at its token number {at}: token {ord_of('!', subject)} ('!') in training, "
        f"and token {ord_of(chr(10), subject)} ('\\n') on the way 'evaluation'"
    )
    with pytest.raises(GateFailedError, match="row2"):
        found.require()
    assert found.finding().value == 0
    assert [verdict["passed"] for verdict in found.verdicts()] == [False]


def ord_of(letter: str, subject: Subject) -> int:
    (token,) = load_base(subject.files).tokenizer(letter, add_special_tokens=False)["input_ids"]
    return int(token)


def test_another_system_message_when_served_is_found(subject: Subject) -> None:
    changed = replace(subject, template={**subject.template, "system": "Name the color."})
    found = check_parity(changed, CLEAN)
    assert "the prompt differs" in found.mismatch
    assert "'u'" in found.mismatch
    assert "on the way 'served'" in found.mismatch


def test_what_cleaning_would_change_is_found(subject: Subject) -> None:
    """A held-out row that was not cleaned as requests are is not answered as it was measured."""
    assert "Row row1: the prompt differs" in check_parity(subject, rows()).mismatch


def test_a_changed_weight_is_found_where_it_changed(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = parity_ways.SavedAgain.keep_adapter

    def keep_otherwise(again: parity_ways.SavedAgain, model: Any, chat: Any) -> None:
        keep(again, model, chat)
        file = again.folder / "adapter" / "adapter_model.safetensors"
        weights = load_file(file)
        name = sorted(weights)[0]
        save_file(weights | {name: weights[name] * 1.05}, file)

    with monkeypatch.context() as patch:
        patch.setattr(parity_ways.SavedAgain, "keep_adapter", keep_otherwise)
        found = check_parity(subject, CLEAN)
    assert "on the way 'adapter reloaded'" in found.mismatch
    assert found.mismatch.startswith("Row row2: token number 1 of the answer, 'b', has the log-probability -")
    assert "1.0e-04 is allowed in float32" in found.mismatch
    assert "merged" in found.ways  # the ways before it agreed

    merge = parity_ways.merged

    def merge_otherwise(model: Any, stock: str) -> Any:
        whole = merge(model, stock)
        whole.model.norm.weight.data[0] += 1
        return whole

    monkeypatch.setattr(parity_ways, "merged", merge_otherwise)
    assert "on the way 'merged'" in check_parity(subject, CLEAN, thorough=False).mismatch


def test_what_is_no_number_never_agrees(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    by_others = parity_ways.by_others

    def broken(asked: Subject, known: parity_ways.Rows) -> parity_ways.Rows:
        return {row: replace(seen, logps=[math.nan] * len(seen.logps)) for row, seen in by_others(asked, known).items()}

    monkeypatch.setattr(parity_ways, "by_others", broken)
    assert "nan on the way 'plain transformers'" in check_parity(subject, CLEAN, thorough=False).mismatch


def test_bounds_by_hand() -> None:
    seen = Seen([1], [2], [-1.0], noise=((3.0 / 256, 10.0),))
    assert bounds(seen, "float32", 2) == [1e-4]
    # √((2 · 2 + 36) / 3) = 3.651484; times 4 √2 · 3 / 256 is 0.242061; and 2 · 10 / 256 = 0.078125.
    assert bounds(seen, "bfloat16", 2) == pytest.approx([0.320186], abs=1e-5)


def test_bfloat16_agrees_within_its_bound_and_not_beyond(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = replace(subject, dtype="bfloat16")
    found = check_parity(narrow, CLEAN)
    assert found.mismatch == ""
    assert max(way.largest for way in found.ways.values()) > 1e-4
    merge = parity_ways.merged

    def merge_otherwise(model: Any, stock: str) -> Any:
        whole = merge(model, stock)
        whole.model.layers[0].mlp.down_proj.weight.data.mul_(3)
        return whole

    monkeypatch.setattr(parity_ways, "merged", merge_otherwise)
    assert "is allowed in bfloat16" in check_parity(narrow, CLEAN, thorough=False).mismatch


def test_rows_that_training_would_not_read_are_refused(subject: Subject) -> None:
    long = [Example("long", (Message("user", "x" * 900), Message("assistant", "red", 1.0)), {}, "made.csv", 1)]
    with pytest.raises(InputError, match="None of the held-out rows"):
        check_parity(subject, long)


def test_what_a_user_would_send() -> None:
    template = {"template": None, "system": ""}
    single = Example("a", (Message("user", "Hi"), Message("assistant", "x")), {}, "f", 1)
    assert message_of(template, single) == "Hi"
    assert message_of(template, rows()[0]) is None  # a system message that the release does not carry
    turns = (Message("user", "Hi"), Message("assistant", "x"), Message("user", "So?"), Message("assistant", "y"))
    assert message_of(template, Example("b", turns, {}, "f", 1)) is None
    asks = {"system": "", "user": "{text}", "assistant": "{label}"}
    assert message_of({"template": asks, "system": ""}, single) == "Hi"
    two = {"template": asks | {"user": "{title}: {text}"}, "system": ""}
    assert message_of(two, single) is None


def test_a_result_says_what_was_not_compared() -> None:
    found = Parity(2, 9, "float32", {}, {"served": "no row is a single message"})
    assert found.finding().details["not compared: served"] == "no row is a single message"
    assert found.as_json()["passed"]
