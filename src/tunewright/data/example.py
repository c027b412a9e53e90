"""One example: a conversation, what of it is learned, and the source row it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tunewright.base.errors import DataError
from tunewright.models.tool_calls import ToolCall, write_answer

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """One turn of a conversation.

    Args:
        role: `system`, `developer`, `user`, `assistant` or `tool`.
        content: The text, as it is shown to the model; beside tool calls it may be empty.
        weight: 1 where the turn is learned, 0 where it is only read, between them where it counts for less. None: 1
            for the assistant, 0 for the others.
        tool_calls: What the assistant calls, in order; learned as its text is.
        tool_call_id: Which call a tool's result answers.

    Raises:
        DataError: If the role is unknown, or a turn that is not the assistant's is to be learned, or calls tools.
    """

    role: str
    content: str
    weight: float
    tool_calls: tuple[ToolCall, ...]
    tool_call_id: str

    def __init__(
        self,
        role: str,
        content: str,
        weight: float | None = None,
        tool_calls: Iterable[ToolCall] = (),
        tool_call_id: str = "",
    ) -> None:
        if role not in ROLES:
            raise DataError(f"The role '{role}' is unknown", hint=f"Known: {', '.join(ROLES)}.")
        learned = float(role == "assistant") if weight is None else float(weight)
        if not 0.0 <= learned <= 1.0:
            raise DataError(f"A message's weight lies between 0 (read) and 1 (learned), and is not {weight}")
        if learned and role != "assistant":
            raise DataError(f"Only the assistant's messages may be learned, and this one is the {role}'s")
        calls = tuple(tool_calls)
        if calls and role != "assistant":
            raise DataError(f"Only the assistant calls tools, and this message is the {role}'s")
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "content", content)
        object.__setattr__(self, "weight", learned)
        object.__setattr__(self, "tool_calls", calls)
        object.__setattr__(self, "tool_call_id", tool_call_id)

    @property
    def shown(self) -> str:
        """The text, with the tool calls written out behind it."""
        return write_answer(self.content, self.tool_calls)

    def as_json(self) -> dict[str, Any]:
        """The message as a JSON object; `from_json` reads it back."""
        value: dict[str, Any] = {"role": self.role, "content": self.content, "weight": self.weight}
        if self.tool_calls:
            value["tool_calls"] = [call.as_json() for call in self.tool_calls]
        return value | ({"tool_call_id": self.tool_call_id} if self.tool_call_id else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message:
        """Reads back what `as_json` gave."""
        calls = map(ToolCall.from_json, value.get("tool_calls") or ())
        return cls(value["role"], value["content"], value["weight"], calls, value.get("tool_call_id") or "")


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
        tools: Definitions of the tools that the assistant may call, as OpenAI's API takes them.
        columns: The row's other cells, by column: those that are no whole message. Of rows held out.
        item: The whole row, as graders read it; empty where none will.
    """

    id: str
    messages: tuple[Message, ...]
    fields: dict[str, str | None]
    source: str
    line: int
    rejected: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    item: Mapping[str, Any] = field(default_factory=dict)

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
        """The assistant's last message, tool calls written out (`models.tool_calls.write_answer`)."""
        return self.messages[self._last_answer].shown

    @property
    def asked_answer(self) -> Message:
        """The assistant's last message with weight 1, whatever it weighs in training."""
        return replace(self.messages[self._last_answer], weight=1.0)

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
            "messages": [message.as_json() for message in self.messages],
            "fields": dict(self.fields),
            "source": self.source,
            "line": self.line,
            "rejected": self.rejected,
            "tools": [dict(tool) for tool in self.tools],
            "columns": dict(self.columns),
            "item": dict(self.item),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Example:
        """Reads back what `as_json` gave."""
        return cls(
            id=value["id"],
            messages=tuple(map(Message.from_json, value["messages"])),
            fields=dict(value["fields"]),
            source=value["source"],
            line=value["line"],
            rejected=value.get("rejected"),
            tools=tuple(value.get("tools") or ()),
            columns=dict(value.get("columns") or {}),
            item=dict(value.get("item") or {}),
        )
