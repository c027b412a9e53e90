"""The one place where a conversation becomes tokens.

A prompt and the answer after it are tokenised apart and joined. Tokenising the whole text at once may merge
characters across the border, and then the model would be trained on tokens that it never meets when it is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from tunewright.base.errors import DataError, ModelError
from tunewright.base.files import hash_value


class ChatMessage(Protocol):
    """What a message must have; `data.example.Message` does."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def weight(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation in tokens.

    Args:
        tokens: Token ids, shape (T,).
        learned: Weight of learning each token, shape (T,); 0 where it is only read. Where classes are learned: of
            learning the class of each token.
        targets: Where classes are learned, the class of each token, shape (T,), any where its weight is 0; else empty.
        types: Which text of a pair each token belongs to, where the model is told so, shape (T,); else empty.
    """

    tokens: list[int]
    learned: list[float]
    targets: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation that is no training example: a question being asked."""

    role: str
    content: str
    weight: float = 0.0


class ChatFormat:
    """Renders conversations with a tokenizer's own chat template.

    Raises:
        ModelError: If the tokenizer has no chat template, or one that does not put an answer behind its prompt.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                "This model has no chat template",
                where=str(getattr(tokenizer, "name_or_path", "")),
                hint="Use an instruction-tuned model, or put a chat_template.jinja beside its tokenizer.",
            )
        self._tokenizer = tokenizer
        self.stop_ids = self._find_stop_ids()

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self._tokenizer

    @property
    def template(self) -> str:
        """The chat template's text; its hash belongs beside every score."""
        return str(self._tokenizer.chat_template)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides which tokens a conversation becomes: the template and the tokenizer."""
        return hash_value([self.template, self._tokenizer.backend_tokenizer.to_str()])

    def prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Tokens of a conversation up to where the next answer begins."""
        return self._segments(messages, open_end=True).tokens

    def render(self, messages: Sequence[ChatMessage]) -> Rendered:
        """Tokens of a whole conversation; an answer's text and its end token carry the answer's weight.

        What follows the end token (a line break, in most templates) is read by later turns and never learned,
        since generation has stopped before it.
        """
        return self._segments(messages, open_end=False)

    def text(self, messages: Sequence[ChatMessage], *, open_end: bool = False) -> str:
        """The rendered text, markers included."""
        plain = [{"role": message.role, "content": message.content} for message in messages]
        return str(self._tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=open_end))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, without markers."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _segments(self, messages: Sequence[ChatMessage], *, open_end: bool) -> Rendered:
        tokens: list[int] = []
        learned: list[float] = []
        text = ""  # rendered and tokenised so far
        for index, message in enumerate(messages):
            if message.role != "assistant":
                continue
            before = self.text(messages[:index], open_end=True)
            after = self.text(messages[: index + 1])
            self._append(tokens, learned, self._rest(before, text), 0.0)
            answer = self._rest(after, before)
            end = self._end_of_answer(answer, message.content)
            self._append(tokens, learned, answer[:end], message.weight)
            text = before + answer[:end]
        whole = self.text(messages, open_end=open_end)
        if open_end or not messages or messages[-1].role != "assistant":
            self._append(tokens, learned, self._rest(whole, text), 0.0)
        return Rendered(tokens, learned)

    def _append(self, tokens: list[int], learned: list[float], text: str, weight: float) -> None:
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens.extend(ids)
        learned.extend([weight] * len(ids))

    def _rest(self, whole: str, start: str) -> str:
        if not whole.startswith(start):
            raise DataError(
                "The chat template rewrites earlier turns, so this conversation has no fixed prompt",
                hint="Keep one answer per conversation, or use a model whose template only appends.",
            )
        return whole[len(start) :]

    def _end_of_answer(self, answer: str, content: str) -> int:
        """Characters of `answer` (content, end marker, whatever follows) up to and with the end marker."""
        shown = content if content in answer else content.strip()  # some templates trim
        tail = answer.find(shown) + len(shown) if shown in answer else 0
        for marker in self._end_markers():
            place = answer.find(marker, tail)
            if place >= 0:
                return place + len(marker)
        return tail or len(answer)

    def _end_markers(self) -> list[str]:
        return sorted(str(self._tokenizer.convert_ids_to_tokens(token)) for token in self.stop_ids)

    def _find_stop_ids(self) -> frozenset[int]:
        """The tokens that end an answer: the tokenizer's own, and the marker its template puts behind one."""
        stops = {self._tokenizer.eos_token_id} if self._tokenizer.eos_token_id is not None else set()
        question = [Turn("user", "?"), Turn("assistant", "x")]
        answer = self._rest(self.text(question), self.text(question[:1], open_end=True))
        specials: Mapping[str, int] = self._tokenizer.get_added_vocab()
        behind = answer[answer.find("x") + 1 :].strip()
        stops.update(token for text, token in specials.items() if behind.startswith(text))
        return frozenset(stops)
