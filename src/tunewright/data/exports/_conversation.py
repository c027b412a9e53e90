"""What several formats ask of a conversation."""

from __future__ import annotations

from typing import Any

from tunewright.data.example import Example, Message

REJECTED = "the rejected answer"
CALLS = "tools, or calls of them"
WEIGHTS = "what of its turns is learned, and how much"
TURNS = "more than a system message, a question and an answer"
ROLE = "the role 'developer'"


def has_tools(example: Example) -> bool:
    """Whether tools stand in it, calls of them, or results."""
    return bool(example.tools) or any(message.tool_calls or message.role == "tool" for message in example.messages)


def has_usual_weights(messages: tuple[Message, ...]) -> bool:
    """Whether all that the assistant says is learned."""
    return all(message.weight == float(message.role == "assistant") for message in messages)


def is_answer_alone(example: Example) -> bool:
    """Whether the last message is the assistant's, and alone learned, fully."""
    *asked, answer = example.messages
    return answer.role == "assistant" and answer.weight == 1 and not any(message.weight for message in asked)


def is_single(example: Example, *, system: bool) -> bool:
    """Whether it is one question and its answer; with `system`, perhaps behind a system message."""
    roles = [message.role for message in example.messages]
    return roles == ["user", "assistant"] or (system and roles == ["system", "user", "assistant"])


def told(message: Message) -> dict[str, Any]:
    """A message without tools as `{role, content}`."""
    return {"role": message.role, "content": message.content}


def texts(example: Example) -> tuple[str, str, str]:
    """System message (or empty), question and answer of an example that `is_single`."""
    *system, asked, answer = example.messages
    return system[0].content if system else "", asked.content, answer.content
