"""One example: a conversation, what of it is learned, and the source row it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.base.errors import DataError

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """One turn of a conversation.

    Args:
        role: `system`, `user` or `assistant`.
        content: The text, as it is shown to the model.
        weight: 1 where the turn is learned, 0 where it is only read. None: 1 for the assistant, 0 for the others.

    Raises:
        DataError: If the role is unknown, or a turn that is not the assistant's is to be learned.
    """

    role: str
    content: str
    weight: float

    def __init__(self, role: str, content: str, weight: float | None = None) -> None:
        if role not in ROLES:
            raise DataError(f"The role '{role}' is unknown", hint=f"Known: {', '.join(ROLES)}.")
        learned = float(role == "assistant") if weight is None else float(weight)
        if learned not in (0.0, 1.0):
            raise DataError(f"A message's weight is 0 (read) or 1 (learned), and not {weight}")
        if learned and role != "assistant":
            raise DataError(f"Only the assistant's messages may be learned, and this one is the {role}'s")
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "content", content)
        object.__setattr__(self, "weight", learned)


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation to learn from, or to be measured on.

    Args:
        id: Stable under reordering of the source: a hash of the source's name and the row's content.
        messages: The conversation, with at least one assistant message.
        fields: The parsed answer's fields as text, where the answers are JSON; else empty.
        source: Name of the file the row came from.
        line: Its line (JSONL, CSV, TSV) or row number (JSON, Parquet), counted from 1.
        rejected: An answer to the same prompt that was found worse than the conversation's last; None: there is none.
    """

    id: str
    messages: tuple[Message, ...]
    fields: dict[str, str | None]
    source: str
    line: int
    rejected: str | None = None

    def __post_init__(self) -> None:
        if not any(message.role == "assistant" for message in self.messages):
            raise DataError("A conversation needs an assistant message", where=f"{self.source}:{self.line}")

    @property
    def _last_answer(self) -> int:
        return max(index for index, message in enumerate(self.messages) if message.role == "assistant")

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All messages before the last one of the assistant."""
        return self.messages[: self._last_answer]

    @property
    def answer(self) -> str:
        """The content of the assistant's last message."""
        return self.messages[self._last_answer].content

    @property
    def rejected_messages(self) -> tuple[Message, ...]:
        """The prompt and the rejected answer, learned as the answer is; empty if there is none."""
        if self.rejected is None:
            return ()
        return (*self.prompt, Message("assistant", self.rejected, self.messages[self._last_answer].weight))

    def as_json(self) -> dict[str, Any]:
        """The example as a JSON object; `from_json` reads it back."""
        return {
            "id": self.id,
            "messages": [{"role": m.role, "content": m.content, "weight": m.weight} for m in self.messages],
            "fields": dict(self.fields),
            "source": self.source,
            "line": self.line,
            "rejected": self.rejected,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Example:
        """Reads back what `as_json` gave."""
        return cls(
            id=value["id"],
            messages=tuple(Message(m["role"], m["content"], m["weight"]) for m in value["messages"]),
            fields=dict(value["fields"]),
            source=value["source"],
            line=value["line"],
            rejected=value.get("rejected"),
        )
