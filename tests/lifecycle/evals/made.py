"""Evals for tests, and a model that answers by rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tunewright.base.errors import ModelError
from tunewright.evaluate.graders import Kit
from tunewright.lifecycle.evals.definition import create_eval
from tunewright.lifecycle.evals.run import create_run
from tunewright.store import Record, Workspace

SCHEMA = {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]}
RIGHT = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
NEAR = {
    "type": "text_similarity",
    "name": "near",
    "evaluation_metric": "rouge_1",
    "pass_threshold": 0.5,
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
JUDGED = {
    "type": "score_model",
    "name": "judged",
    "model": "judge",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}
TEMPLATE = {
    "type": "template",
    "template": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "{{item.question}}"}],
}


def make_eval(workspace: Workspace, *criteria: Mapping[str, Any], **more: Any) -> Record:
    asked = {"name": "desk", "metadata": None, "project": "default", "runs_python": False}
    source = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
    return create_eval(workspace, **({"data_source": source, "criteria": criteria or [RIGHT]} | asked | more))


def make_run(workspace: Workspace, made: Record, data_source: Mapping[str, Any], **more: Any) -> Record:
    asked = {"name": None, "metadata": None, "runs_python": False, "server_url": "http://here/"}
    return create_run(workspace, made, **({"data_source": data_source} | asked | more))


def content(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "file_content", "content": [*rows]}


def given(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "jsonl", "source": content(*rows)}


def row(question: str, answer: str, said: str | None = None) -> dict[str, Any]:
    sample = {} if said is None else {"sample": {"output_text": said}}
    return {"item": {"question": question, "answer": answer}, **sample}


class Model:
    """Answers a question by its capitals, a judge's question by 0.75, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(body)
        text = body["messages"][-1]["content"]
        if text == "break":
            raise ModelError("The model is gone")
        said = json.dumps({"result": 0.75}) if body["model"] == "judge" else text.upper()
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
        message = {"role": "assistant", "content": said, "tool_calls": None}
        return {"model": body["model"], "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}

    @property
    def kit(self) -> Kit:
        return Kit(ask=self)


def never() -> None:
    """Nobody asks for the work to stop."""
