"""What a row asks: the text that an augmentation may say in other words, and the row with such words in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.data.answers import AnswerKind, answer_fields
from tunewright.data.dataset import read_message
from tunewright.data.folding import text_key
from tunewright.data.template import Text
from tunewright.data.words import Span, Words, phrase_spans
from tunewright.recipe.schema import Template

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SHORTEST_QUOTE = 2


@dataclass(frozen=True, slots=True)
class Question:
    """A row, and the user's last message in it.

    Args:
        record: The row, in the columns of examples.
        at: The message's number.
        words: Its text, taken apart.
    """

    record: Mapping[str, Any]
    at: int
    words: Words

    @property
    def asked(self) -> str:
        """All that users say before the last answer, for a classifier."""
        return asked(self.record, {})

    def asked_as(self, text: str) -> str:
        """The same with other words in place of the last message."""
        return asked(self.record, {self.at: text})

    def row(self, row_id: str, text: str) -> dict[str, Any]:
        """The row under another id, with other words in place of the last message."""
        messages = [
            {**message, "content": text} if place == self.at else message
            for place, message in enumerate(self.record["messages"])
        ]
        return {**self.record, "id": row_id, "messages": messages, "prompt_key": prompt_key(messages)}


def read_question(
    record: Mapping[str, Any], kind: AnswerKind, template: Template | None, protect: tuple[str, ...]
) -> Question | None:
    """What a row asks; None where the user says nothing before the last answer.

    Args:
        record: The row, in the columns of examples.
        kind: What its answer is.
        template: The recipe's; its own words stay.
        protect: Further words and phrases that stay.
    """
    before = _before_answer(record["messages"])
    at = max((place for place, message in enumerate(before) if message["role"] == "user"), default=-1)
    if at < 0:
        return None
    text = before[at]["content"]
    own = [] if template is None else _own_words(text, template)
    quoted = phrase_spans(text, _quotes(record["answer"], kind))
    return Question(record, at, Words.read(text, protect, [*own, *quoted]))


def prompt_key(messages: list[Mapping[str, Any]]) -> str:
    """What a row's prompt is known by, as `data.conversations` has it."""
    return text_key(read_message(message).shown for message in _before_answer(messages))


def asked(record: Mapping[str, Any], changed: Mapping[int, str]) -> str:
    """All that users say before the last answer; some messages changed."""
    before = _before_answer(record["messages"])
    return "\n".join(
        changed.get(place, message["content"]) for place, message in enumerate(before) if message["role"] == "user"
    )


def _before_answer(messages: list[Any]) -> list[Any]:
    return messages[: max(place for place, message in enumerate(messages) if message["role"] == "assistant")]


def _quotes(answer: str, kind: AnswerKind) -> list[str]:
    """What an answer may have taken word for word from the question."""
    if kind == "json":
        found = [value for value in (answer_fields(answer) or {}).values() if value]
    elif kind == "tool_call":
        found = _QUOTED.findall(answer)
    else:
        found = [answer] if kind == "text" else []
    return [value for value in found if len(value) >= _SHORTEST_QUOTE]


def _own_words(text: str, template: Template) -> list[Span]:
    """Where the template's own words stand."""
    spans, at = [], 0
    for literal in Text.parse(template.user, "user").parts[::2]:
        start = text.find(literal, at) if literal.strip() else -1
        if start >= 0:
            at = start + len(literal)
            spans.append((start, at))
    return spans
