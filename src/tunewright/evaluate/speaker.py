"""Whoever answers conversations: a model in memory, with or without its adapter, or an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tunewright.base import events
from tunewright.base.errors import EndpointError
from tunewright.data.example import Message
from tunewright.evaluate.answer import evaluation_mode

if TYPE_CHECKING:
    from tunewright.endpoints import Client
    from tunewright.models.base import Base

Conversation = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered to one conversation.

    Args:
        text: The answer.
        stopped: Whether it ended by itself; False where it was cut at the length limit.
        written: Its tokens; None where they were not counted.
    """

    text: str
    stopped: bool = True
    written: int | None = None


class Speaker(Protocol):
    """Answers conversations, greedily."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def say(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        """The answers, in the conversations' order."""
        ...


@dataclass(frozen=True)
class LocalSpeaker:
    """A model in memory.

    Args:
        name: What reports call it.
        base: How it reads conversations.
        opened: Gives the adopted model while open. A base shares its weights with the tuned model, whose adapter is
            switched off meanwhile.
        batch_size: Answers decoded side by side.
    """

    name: str
    base: Base
    opened: Callable[[], AbstractContextManager[Any]]
    batch_size: int = 64

    @contextmanager
    def model(self) -> Iterator[Any]:
        """The model, without noise and without gradients, while open; for whoever needs more than its words."""
        import torch

        with self.opened() as model, evaluation_mode(model), torch.no_grad():
            yield model

    def say(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        """The answers, greedily decoded; reports progress as a stage "generate"."""
        from tunewright.generate import generate

        chat = self.base.chat
        with self.model() as model:
            given = generate(
                model,
                [chat.prompt(conversation) for conversation in conversations],
                max_new_tokens=max_new_tokens,
                stop_ids=chat.stop_ids,
                batch_size=self.batch_size,
                listener=listener,
            )
        return [Said(chat.decode(each.tokens), each.stopped, len(each.tokens)) for each in given]


@dataclass(frozen=True)
class EndpointSpeaker:
    """A model behind an OpenAI-compatible endpoint; what it has answered once is not asked again."""

    client: Client

    @property
    def name(self) -> str:
        """The model's name there."""
        return self.client.endpoint.model

    def say(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        """The answers; reports progress as a stage "ask".

        Raises:
            EndpointError: If the endpoint fails however often it is tried, or refuses one of the conversations.
        """
        from tunewright.endpoints import Refused, Request

        asked = (Request(_as_sent(conversation), 0.0, max_new_tokens) for conversation in conversations)
        said: list[Said] = []
        for reply in self.client.chat_each(asked):
            if isinstance(reply, Refused):
                raise EndpointError(f"'{self.name}' refused a request: {reply.reason}", where=self.client.endpoint.url)
            said.append(Said(reply.text, reply.finish != "length"))
            listener(events.Stage("ask", "progress", len(said), len(conversations), "answers"))
        return said


def _as_sent(conversation: Conversation) -> tuple[dict[str, str], ...]:
    return tuple({"role": turn.role, "content": turn.content} for turn in conversation)
