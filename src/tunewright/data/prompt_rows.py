"""Rows that ask and do not answer: the model's own answers are drawn and graded, by what else stands in the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.base.errors import DataError
from tunewright.data.example import Message
from tunewright.data.formats import ANSWER, ConversationFormat
from tunewright.data.template import Cells

_ASKING = ("user", "tool")


class PromptFormat(ConversationFormat):
    """Conversations in OpenAI's form whose last message is the user's, or a tool's result.

    In their place of an answer stands an empty one, of which only the end is there to be learned.
    """

    name = "prompts"

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        last = [turn.get("role") for turn, _ in self.turns(values)][-1]
        if last not in _ASKING:
            raise DataError(f"the last message is to be answered, and it is the {last}'s and not the user's")
        # What is read alone, and an answer that flattening wants to see.
        read = [self._read(turn) for turn, _ in self.turns(values)]
        return super().flatten({**values, "messages": [*read, {"role": "assistant", "content": "."}]}) | {ANSWER: ""}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return super().sides(columns)[0], ()

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        *asked, _ = super().messages({**cells, ANSWER: "."})
        return (*asked, Message("assistant", ""))

    @staticmethod
    def _read(turn: Mapping[str, Any]) -> dict[str, Any]:
        return {**turn, "weight": 0} if turn.get("role") == "assistant" else dict(turn)
