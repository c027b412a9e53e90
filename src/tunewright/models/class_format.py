"""How a row with a label, or with a tag for each word, becomes tokens and classes.

Of a label, the class is learned from one token: the first (`[CLS]`) of an encoder, which reads both ways, and the last
of a causal model's prompt, the only one that has seen it all. Of tags, each word's class is learned from its first
token; further tokens of the word carry none (what others mark with -100).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tunewright.base.errors import DataError, ModelError
from tunewright.base.files import hash_value
from tunewright.models.chat import ChatFormat, ChatMessage, Rendered, Tools
from tunewright.models.encoder_format import EncoderFormat, texts

LABEL, TAG = "label", "tag"


def with_classes(inner: ChatFormat, head: str, classes: Sequence[str]) -> ChatFormat:
    """How a base reads rows for a head of classes; as it reads any others where there is no head."""
    return ClassFormat(inner, head, classes) if head else inner


class ClassFormat(ChatFormat):
    """Renders conversations whose answer is a class, or a class for each word.

    Args:
        inner: How the base reads what is asked.
        head: `label` or `tag`.
        classes: What is told apart, in the order of the head's outputs.
    Raises:
        ModelError: If words are to be tagged and the tokenizer cannot say where its tokens stand.
    """

    def __init__(self, inner: ChatFormat, head: str, classes: Sequence[str]) -> None:
        self._tokenizer: Any = inner.tokenizer
        self._inner, self.head, self.classes = inner, head, tuple(classes)
        self.stop_ids = frozenset()
        self._number = {name: number for number, name in enumerate(self.classes)}
        if head == TAG and not getattr(self._tokenizer, "is_fast", False):
            raise ModelError(
                "This model's tokenizer does not say where its tokens stand, which tagging words needs",
                where=str(getattr(self._tokenizer, "name_or_path", "")),
                hint="Put the tokenizer.json of a fast tokenizer beside the model.",
            )

    @property
    def both_ways(self) -> bool:
        """Whether the base reads a row as a whole."""
        return isinstance(self._inner, EncoderFormat)

    @property
    def template(self) -> str:
        """The base's own."""
        return self._inner.template

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides which tokens and classes a row becomes."""
        return hash_value([self._inner.fingerprint, self.head, list(self.classes)])

    def prompt(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> list[int]:
        """Tokens of what is read."""
        return self.ask(messages)[0].tokens

    def render(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> Rendered:
        """Tokens of what is read, and the classes of the conversation's last answer, which carry its weight.

        Raises:
            DataError: If the answer is no class, or is not one for each word.
        """
        answer = messages[-1]
        asked, places = self.ask(messages[:-1])
        names = answer.content.split() if self.head == TAG else [answer.content.strip()]
        if len(names) != len(places):
            raise DataError(f"{len(places):,} words have {len(names):,} tags")
        if unknown := [name for name in names if name not in self._number]:
            raise DataError(f"'{unknown[0]}' is none of the classes", hint=f"Known: {', '.join(self.classes)}.")
        learned, targets = [0.0] * len(asked.tokens), [0] * len(asked.tokens)
        for place, name in zip(places, names, strict=True):
            if place is not None:
                learned[place], targets[place] = answer.weight, self._number[name]
        return Rendered(asked.tokens, learned, targets, asked.types)

    def ask(self, messages: Sequence[ChatMessage], limit: int = 0) -> tuple[Rendered, list[int | None]]:
        """Tokens of a question, of which nothing is learned, and the places whose states tell its classes, in order.

        Args:
            limit: Most tokens, beyond which an encoder's text is cut; 0: no limit.
        Returns:
            Of the places, one for a label; for tags one a word, None for a word that has no token or was cut.
        """
        if isinstance(self._inner, EncoderFormat):
            asked = self._inner.read(messages, limit)
        else:
            tokens = self._inner.prompt(messages)
            asked = Rendered(tokens, [0.0] * len(tokens))
        if self.head == TAG:
            return asked, self._first_tokens(texts(messages)[0], len(asked.tokens), limit)
        return asked, [0 if self.both_ways else len(asked.tokens) - 1]

    def _first_tokens(self, text: str, length: int, limit: int) -> list[int | None]:
        """The place of each word's first token."""
        cut = {"truncation": True, "max_length": limit} if limit else {}
        offsets = self._tokenizer(text, return_offsets_mapping=True, **cut)["offset_mapping"]
        if len(offsets) != length:
            raise DataError("Words are tagged in one text, and this row has two")
        # Special tokens stand nowhere: their offsets are empty.
        tokens = [(place, start, end) for place, (start, end) in enumerate(offsets) if end > start]
        found: list[int | None] = []
        at = token = 0
        for word in text.split():
            start = text.index(word, at)
            at = start + len(word)
            while token < len(tokens) and tokens[token][2] <= start:
                token += 1
            found.append(tokens[token][0] if token < len(tokens) and tokens[token][1] < at else None)
        return found

    def text(self, messages: Sequence[ChatMessage], tools: Tools = (), *, open_end: bool = False) -> str:
        """What is read, special tokens included."""
        question = [message for message in messages if message.role != "assistant"]
        return self._inner.text(question, open_end=True)
