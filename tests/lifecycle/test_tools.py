"""Tool calls from rows to a release: trained, measured, and offered again when one talks to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lifecycle.world import write_recipe
from tests.models.test_tool_calls import TOOL
from tests.tiny import tiny_folder
from tunewright.lifecycle.pipeline import run
from tunewright.lifecycle.talk import load_release


def row(city: str) -> dict[str, object]:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
    asked = {"role": "user", "content": f"Weather in {city}?"}
    return {"messages": [asked, {"role": "assistant", "content": None, "tool_calls": [call]}], "tools": [TOOL]}


@pytest.mark.slow
def test_from_calls_to_a_release_that_offers_its_tools(tmp_path: Path) -> None:
    tiny_folder(tmp_path / "base")
    rows = [row(f"c{n}") for n in range(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    split = {"validation": 2, "test": 4, "minimum_test_rows": 2}
    recipe = write_recipe(
        tmp_path,
        # Written out, the tool's definition alone has some 700 bytes, which are this base's tokens.
        instead={"data": {"train": "rows.jsonl", "split": split, "max_length": 1024}},
        evaluate={"systems": ["base"], "max_new_tokens": 4},
    )
    found = run(recipe, workspace=tmp_path / "workspace")
    assert found.evaluation["answer_kind"] == "tool_call"
    assert {"tool_call", "tool_call_name", "tool_call_arguments", "perplexity"} <= set(found.evaluation["tuned"])
    assert found.evaluation["tuned"]["perplexity"]["value"] < found.evaluation["base"]["perplexity"]["value"]
    specialist = load_release(found.release, workspace=tmp_path / "workspace")
    assert specialist.release.template["tools"] == [TOOL]
    reply = specialist.answer("Weather in c1?")
    assert f"<tools>\n{json.dumps(TOOL)}\n</tools>" in reply.prompt
    assert reply.prompt.endswith("<|im_start|>user\nWeather in c1?<|im_end|>\n<|im_start|>assistant\n")
