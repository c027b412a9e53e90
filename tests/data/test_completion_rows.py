"""Prompts with completions as texts, as messages and with a verdict; and OpenAI's pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.base.errors import DataError
from tunewright.data.example import Message
from tunewright.data.formats import Format, choose_format
from tunewright.data.frame import ROLES
from tunewright.recipe.schema import Data

ASKED = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
ANSWERED = [{"role": "assistant", "content": "d"}]


def known(folder: Path, row: dict[str, Any]) -> Format:
    path = folder / "rows"
    path.write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n")
    return choose_format(Data.model_validate({"train": str(path)}))


def messages(format: Format, row: dict[str, Any]) -> tuple[Message, ...]:
    return format.messages(format.flatten(row))


def test_texts_with_and_without_system(tmp_path: Path) -> None:
    format = known(tmp_path, {"prompt": "a", "completion": "b"})
    assert format.name == "prompt_completion"
    assert messages(format, {"prompt": "a", "completion": "b"}) == (Message("user", "a"), Message("assistant", "b"))
    row = {"system": "s", "prompt": "a", "completion": "b"}
    assert messages(format, row) == (Message("system", "s"), Message("user", "a"), Message("assistant", "b"))
    with pytest.raises(DataError, match="the prompt is empty"):
        messages(format, {"system": "s", "prompt": " ", "completion": "b"})


def test_lists_of_messages_learn_the_completion_alone(tmp_path: Path) -> None:
    row = {"prompt": ASKED, "completion": ANSWERED}
    format = known(tmp_path, row)
    flat = format.flatten(row)
    assert flat[ROLES] == "user:0.0 assistant:0.0 user:0.0 assistant:1.0"
    assert format.sides(tuple(flat)) == (
        ("messages[0].content", "messages[1].content", "messages[2].content"),
        ("answer",),
    )
    assert [message.weight for message in format.messages(flat)] == [0, 0, 0, 1]
    with pytest.raises(DataError, match="'prompt' is a list of messages, and the other text is none"):
        format.flatten({"prompt": ASKED, "completion": "d"})
    # Tables keep lists as JSON text; other JSON is an answer like any.
    assert messages(format, {"prompt": json.dumps(ASKED), "completion": json.dumps(ANSWERED)})[-1].content == "d"
    assert messages(format, {"prompt": "a", "completion": '[{"x": 1}]'})[-1].content == '[{"x": 1}]'


@pytest.mark.parametrize("bad", [False, "false", "False", 0, "0"])
def test_bad_completions_are_never_learned(tmp_path: Path, bad: Any) -> None:
    row = {"prompt": "a", "completion": "b", "label": bad}
    format = known(tmp_path, row)
    assert format.name == "kto"
    with pytest.raises(DataError, match="'label' says that the completion is bad"):
        format.flatten(row)


@pytest.mark.parametrize("good", [True, "true", 1, "billing", None])
def test_others_are(tmp_path: Path, good: Any) -> None:
    format = known(tmp_path, {"prompt": "a", "completion": "b", "label": True})
    assert messages(format, {"prompt": "a", "completion": "b", "label": good})[-1] == Message("assistant", "b")


def test_openais_pairs(tmp_path: Path) -> None:
    bad = [{"role": "assistant", "content": "e"}]
    row = {"input": {"messages": ASKED, "tools": []}, "preferred_output": ANSWERED, "non_preferred_output": bad}
    format = known(tmp_path, row)
    assert format.name == "openai_preference"
    assert format.pairs
    flat = format.flatten(row)
    assert [message.content for message in format.messages(flat)] == ["a", "b", "c", "d"]
    assert format.rejected(flat) == "e"
    for broken, reason in (({"messages": "x"}, "no object with a list"), ({"messages": ASKED, "tools": [1]}, "tools")):
        with pytest.raises(DataError, match=reason):
            format.flatten({**row, "input": broken})


def test_sharegpt_rows_with_openais_names(tmp_path: Path) -> None:
    row = {"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    format = known(tmp_path, row)
    assert format.name == "sharegpt"
    assert messages(format, row) == (Message("user", "a"), Message("assistant", "b"))
