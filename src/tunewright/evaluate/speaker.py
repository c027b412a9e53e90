"""Whoever answers conversations: a model in memory, with or without its adapter, or an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from tunewright.base import events
from tunewright.base.errors import EndpointError, InputError
from tunewright.data.example import Message
from tunewright.evaluate.answer import evaluation_mode
from tunewright.recipe.sampling import Sampling

if TYPE_CHECKING:
    from tunewright.endpoints import Client, Request
    from tunewright.generate import Generation
    from tunewright.models.base import Base

Conversation = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered to one conversation.

    Args:
        text: The answer.
        stopped: Whether it ended by itself; False where it was cut at the length limit.
        written: Its tokens; None where they were not counted.
        further: Further answers, where several were drawn.
    """

    text: str
    stopped: bool = True
    written: int | None = None
    further: tuple[Said, ...] = ()


class Speaker(Protocol):
    """Answers conversations."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def say(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        samples: int = 1,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        """The answers, in the conversations' order.

        Args:
            conversations: Each ends where the answer begins.
            max_new_tokens: Longest answer; a longer one is cut, and says so.
            sampling: How answers are drawn; None: the most probable ones are given.
            samples: Answers to each, the further ones in `Said.further`.
            listener: Hears of progress.
        """
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
        sampling: Sampling | None = None,
        samples: int = 1,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        """The answers; reports progress as a stage "generate"."""
        from tunewright.generate import generate

        chat = self.base.chat
        with self.model() as model:
            given = generate(
                model,
                [chat.prompt(conversation) for conversation in conversations],
                max_new_tokens=max_new_tokens,
                stop_ids=chat.stop_ids,
                batch_size=self.batch_size,
                sampling=sampling,
                samples=samples,
                listener=listener,
            )
        return [self._said(each) for each in given]

    def _said(self, given: Generation) -> Said:
        further = tuple(self._said(each) for each in given.further)
        return Said(self.base.chat.decode(given.tokens), given.stopped, len(given.tokens), further)


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
        sampling: Sampling | None = None,
        samples: int = 1,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        """The answers; reports progress as a stage "ask". Of several to one conversation each has a seed of its own.

        Raises:
            EndpointError: If the endpoint fails however often it is tried, or refuses one of the conversations.
            InputError: If the sampling has rules that the API does not know, or would give equal answers.
        """
        from tunewright.endpoints import Refused

        drawn = sampling or Sampling()
        _check_known(drawn, samples)
        asked = (
            _request(conversation, drawn, number, max_new_tokens)
            for conversation in conversations
            for number in range(samples)
        )
        said: list[Said] = []
        for reply in self.client.chat_each(asked):
            if isinstance(reply, Refused):
                raise EndpointError(f"'{self.name}' refused a request: {reply.reason}", where=self.client.endpoint.url)
            said.append(Said(reply.text, reply.finish != "length"))
            listener(events.Stage("ask", "progress", len(said) // samples, len(conversations), "answers"))
        return [
            replace(said[first], further=tuple(said[first + 1 : first + samples]))
            for first in range(0, len(said), samples)
        ]


def _check_known(sampling: Sampling, samples: int) -> None:
    if sampling.top_k is not None or sampling.min_p:
        raise InputError(
            "An endpoint knows neither top_k nor min_p", where="evaluate.sampling", hint="Use temperature and top_p."
        )
    sampling.check_samples(samples)


def _request(conversation: Conversation, sampling: Sampling, number: int, max_new_tokens: int) -> Request:
    from tunewright.endpoints import Request

    if sampling.greedy:
        return Request(_as_sent(conversation), 0.0, max_new_tokens)
    top_p = sampling.top_p if sampling.top_p < 1 else None
    seed = (sampling.seed or 0) + number
    return Request(_as_sent(conversation), sampling.temperature, max_new_tokens, seed, top_p=top_p)


def _as_sent(conversation: Conversation) -> tuple[dict[str, str], ...]:
    return tuple({"role": turn.role, "content": turn.content} for turn in conversation)
