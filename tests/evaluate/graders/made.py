"""Graders for tests: a look at a row, and models that say what they are told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.evaluate.graders import Kit, Look, sample_of

LOOK = Look({"question": "Where?", "answers": ["Paris", "in Paris"], "n": 3}, sample_of("It is in Paris"))


class Judge:
    """A model that gives the same answer to everything, and remembers what it was asked."""

    def __init__(self, text: str, **choice: Any) -> None:
        self.text, self.choice = text, choice
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(body)
        message = {"role": "assistant", "content": self.text, "refusal": None}
        usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
        return {"choices": [{"message": message, "finish_reason": "stop", **self.choice}], "usage": usage}

    @property
    def kit(self) -> Kit:
        return Kit(ask=self)
