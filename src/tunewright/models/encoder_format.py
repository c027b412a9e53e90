"""How text becomes tokens for an encoder, which has no chat template: one text, or a pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from tunewright.base.errors import ModelError
from tunewright.models.chat import ChatFormat, ChatMessage, Rendered, Tools

# What `template` says: it is hashed into fingerprints, so that a change of the rules below is noticed.
_RULES = "the system message and the first user message, a line each; a second user message is the pair's other text"


class EncoderFormat(ChatFormat):
    """Reads conversations as BERT and its kin read a text, or two texts that are held against each other.

    An encoder writes nothing: an answer becomes a class (`models.class_format`), and is no part of the tokens.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.stop_ids = frozenset()

    @property
    def template(self) -> str:
        """The rules of rendering, in words; their hash belongs beside every score."""
        return _RULES

    def prompt(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> list[int]:
        """Tokens of what is read, special ones included."""
        return self.read(messages).tokens

    def read(self, messages: Sequence[ChatMessage], limit: int = 0) -> Rendered:
        """The same, with the text that each token belongs to; nothing of it is learned.

        Args:
            limit: Most tokens, beyond which the longer text is cut; 0: no limit.
        """
        cut = {"truncation": True, "max_length": limit} if limit else {}
        found = self._tokenizer(*texts(messages), return_token_type_ids=self._tells_types, **cut)
        types = list(found["token_type_ids"]) if self._tells_types else []
        tokens = list(found["input_ids"])
        return Rendered(tokens, [0.0] * len(tokens), types=types if any(types) else [])

    def render(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> NoReturn:
        """Raises a `ModelError`: there is nothing that an encoder could write."""
        raise ModelError(
            "This model turns text into numbers; it cannot write answers",
            where="base",
            hint="Set train.objective to classify or tag, or name a causal language model as the base.",
        )

    def text(self, messages: Sequence[ChatMessage], tools: Tools = (), *, open_end: bool = False) -> str:
        """What is read, special tokens included."""
        return str(self._tokenizer.decode(self.prompt(messages)))

    @property
    def _tells_types(self) -> bool:
        """Whether the model is told which text of a pair a token belongs to."""
        return "token_type_ids" in self._tokenizer.model_input_names


def texts(messages: Sequence[ChatMessage]) -> list[str]:
    """The one or two texts of a conversation's question."""
    asked = [message.content for message in messages if message.role == "user"]
    told = [message.content for message in messages if message.role == "system"]
    return ["\n".join([*told, *asked[:1]]), *(["\n".join(asked[1:])] if asked[1:] else [])]
