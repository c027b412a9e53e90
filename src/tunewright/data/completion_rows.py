"""Rows with a prompt and its completion: texts or lists of messages, some with a verdict; and OpenAI's pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.base.errors import DataError
from tunewright.data.example import Message
from tunewright.data.formats import ConversationFormat, PreferenceFormat, TemplateFormat, is_list, list_of
from tunewright.data.frame import ROLES
from tunewright.data.template import Cells, is_empty
from tunewright.recipe.schema import Template


class CompletionFormat(TemplateFormat):
    """Rows with `prompt` and `completion`, perhaps with `system` beside them.

    Both may be lists of messages; the answers among those of the prompt are then read, and not learned.
    """

    def __init__(self, name: str = "prompt_completion") -> None:
        super().__init__(Template(system="{system}", user="{prompt}", assistant="{completion}"), name)
        self.needed: tuple[str, ...] = ("prompt", "completion")
        self._conversation = ConversationFormat()

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        lists = [name for name in self.needed if is_list(values.get(name))]
        if not lists:
            return super().flatten(values)
        if len(lists) != len(self.needed):
            raise DataError(f"'{lists[0]}' is a list of messages, and the other text is none")
        asked, answered = (list_of(values, name) for name in self.needed)
        read = [{**turn, "weight": 0 if turn.get("role") == "assistant" else None} for turn in asked]
        tools = {"tools": values["tools"]} if values.get("tools") else {}
        return self._conversation.flatten({"messages": [*read, *answered], **tools})

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        asked, answered = self._conversation.sides(columns)
        texts = tuple(name for name in self.prompt_columns if name in columns)
        own = tuple(name for name in (*self.answer_columns, *answered) if name in columns)
        return (*texts, *asked), own

    def makes(self, column: str) -> bool:
        return column in (*self.prompt_columns, *self.answer_columns) or self._conversation.makes(column)

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        if cells.get(ROLES) is not None:
            return self._conversation.messages(cells)
        if is_empty(cells.get("prompt")):
            raise DataError("the prompt is empty: nothing in prompt")
        return super().messages(cells)


class VerdictFormat(CompletionFormat):
    """Rows with `prompt`, `completion` and `label`, which says whether the completion is good (as KTO takes them).

    Good completions are learned; bad ones are refused, since learning them would teach what is not wanted.
    """

    def __init__(self) -> None:
        super().__init__("kto")
        self.needed = ("prompt", "completion", "label")

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        if str(values.get("label")).lower() in ("false", "0"):
            raise DataError("'label' says that the completion is bad, and no objective learns from bad ones alone")
        return super().flatten({name: values.get(name) for name in ("system", "prompt", "completion", "tools")})


class OpenAiPreferenceFormat(PreferenceFormat):
    """OpenAI's pairs: `input` with messages, `preferred_output` and `non_preferred_output`, lists of messages."""

    name = "openai_preference"
    needed: tuple[str, ...] = ("input", "preferred_output", "non_preferred_output")

    def __init__(self) -> None:
        super().__init__()
        self._pairs = PreferenceFormat()

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._pairs.sides(columns)

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        asked = values.get("input")
        if not isinstance(asked, Mapping) or not is_list(asked.get("messages")):
            raise DataError("'input' is no object with a list of 'messages'")
        if asked.get("tools"):
            raise DataError("'input' defines tools, and answers with tools cannot be compared yet")
        good, bad = (values.get(name) for name in self.needed[1:])
        return self._pairs.flatten({"prompt": asked["messages"], "chosen": good, "rejected": bad})
