"""Asking a model as OpenAI's API is asked: a body goes in, OpenAI's answer comes out.

Routes, batches, graders and evals ask through these. `ask_…` waits for the whole answer; `open_…` gives one that is
rendered and has its model, to be submitted and followed piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tunewright.lifecycle.serving import answering
from tunewright.lifecycle.serving.bodies import ChatBody, CompletionBody, EmbeddingBody, read_body
from tunewright.lifecycle.serving.chatting import Chat
from tunewright.lifecycle.serving.completing import Completing
from tunewright.lifecycle.serving.embedding import embed
from tunewright.lifecycle.serving.fleet import Fleet, Seat


@dataclass(frozen=True)
class ChatAnswer:
    """An answer.

    Args:
        body: In OpenAI's form.
        ignored: Fields of what was asked that change nothing here.
    """

    body: dict[str, Any]
    ignored: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What the first answer says; empty where it only calls."""
        return str(self.body["choices"][0]["message"]["content"] or "")

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens read and written."""
        found: dict[str, Any] = self.body["usage"]
        return found


def ask_chat(fleet: Fleet, body: ChatBody | Mapping[str, Any], *, project: str | None = None) -> ChatAnswer:
    """A chat completion; waits for all of it. `stream` is not looked at.

    Args:
        fleet: The models.
        body: As `POST /v1/chat/completions` takes it.
        project: Whose fine-tuned models may be asked; None: all.

    Raises:
        UnknownModelError: If no model is served under the name.
        BusyError: If there is no place for it now; says when to come again.
        InputError: If it cannot be asked so; `where` is the field.
    """
    chat = open_chat(fleet, body, project=project)
    return ChatAnswer(answering.answer(chat), chat.ignored)


def open_chat(fleet: Fleet, body: ChatBody | Mapping[str, Any], *, project: str | None = None) -> Chat:
    """A chat completion that is ready to be submitted; to be left in the end. Raises as `ask_chat` does."""
    asked = read_body(ChatBody, body)
    with _left_on_error(fleet.seat(asked.model, project=project)) as seat:
        return Chat(seat, asked)


def ask_completion(
    fleet: Fleet, body: CompletionBody | Mapping[str, Any], *, project: str | None = None
) -> dict[str, Any]:
    """A completion, in OpenAI's form; waits for all of it. Raises as `ask_chat` does."""
    return answering.answer(open_completion(fleet, body, project=project))


def open_completion(
    fleet: Fleet, body: CompletionBody | Mapping[str, Any], *, project: str | None = None
) -> Completing:
    """A completion that is ready to be submitted; to be left in the end. Raises as `ask_chat` does."""
    asked = read_body(CompletionBody, body)
    with _left_on_error(fleet.seat(asked.model, project=project)) as seat:
        return Completing(seat, asked)


def ask_embeddings(
    fleet: Fleet, body: EmbeddingBody | Mapping[str, Any], *, project: str | None = None
) -> dict[str, Any]:
    """Embeddings, in OpenAI's form. Raises as `ask_chat` does."""
    asked = read_body(EmbeddingBody, body)
    with fleet.seat(asked.model, project=project) as seat:
        return embed(seat, asked)


@contextmanager
def _left_on_error(seat: Seat) -> Iterator[Seat]:
    """A seat that whoever asks keeps, unless it cannot be asked so."""
    try:
        yield seat
    except BaseException:
        seat.leave()
        raise
