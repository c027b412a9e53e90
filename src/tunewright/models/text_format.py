"""How text becomes tokens for an encoder-decoder, which has no chat template: a source to read, a target to write.

In a row of tokens both stand one behind the other, parted by `ANSWER_START`. It is no token, so no text contains it;
where it stands, the decoder reads the start token of its own. That a row carries where its source ends is all that
data, objectives and forests need in order to serve encoder-decoders as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.base.errors import ModelError
from tunewright.models.chat import ChatFormat, ChatMessage, Rendered, Tools
from tunewright.models.tool_calls import write_answer, written_out

ANSWER_START = -1
_TURN = "{role}: {content}"
# What `template` says: it is hashed into fingerprints, so that a change of the rules below is noticed.
_RULES = f"source: system message, then the question; of several turns each as '{_TURN}'; joined by line breaks"


class TextFormat(ChatFormat):
    """Renders conversations as plain text for an encoder-decoder such as T5.

    The source is the system message, if there is one, and the question, each on a line of its own. Where there are
    several turns, each is led by its role (`user: …`). The target is one answer: the last one that is learned. Earlier
    answers are read with the source, since a decoder writes only one text for it. Tools and their calls are written
    out.

    Raises:
        ModelError: If the tokenizer has no token that ends a text.
    """

    learns_every_answer = False

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                "This encoder-decoder's tokenizer has no token that ends a text",
                where=str(getattr(tokenizer, "name_or_path", "")),
                hint="Set eos_token in its tokenizer_config.json.",
            )
        self._tokenizer = tokenizer
        self.stop_ids = frozenset([int(tokenizer.eos_token_id)])

    @property
    def template(self) -> str:
        """The rules of rendering, in words; their hash belongs beside every score."""
        return _RULES

    @property
    def knows_tools(self) -> bool:
        """Never: tools and their calls are written out in plain text."""
        return False

    def prompt(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> list[int]:
        """Tokens of the source, and where the answer begins."""
        return [*self._tokenizer(self._source(messages, tools))["input_ids"], ANSWER_START]

    def render(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> Rendered:
        """Tokens of source and target; the target and its end token carry the answer's weight.

        What follows that answer is left out: no state of it could be learned from.
        """
        at = self._written(messages)
        if at is None:
            tokens = self.prompt(messages, tools)
            return Rendered(tokens, [0.0] * len(tokens))
        prompt, answer = self.prompt(messages[:at], tools), messages[at]
        target = list(self._tokenizer(text_target=_target(answer))["input_ids"])
        if not target or target[-1] not in self.stop_ids:
            target += sorted(self.stop_ids)
        return Rendered([*prompt, *target], [0.0] * len(prompt) + [answer.weight] * len(target))

    def answers(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Place of the answer that is learned: the last one with a weight."""
        return super().answers(messages)[-1:]

    def text(self, messages: Sequence[ChatMessage], tools: Tools = (), *, open_end: bool = False) -> str:
        """The source and, below it, the target, end tokens included."""
        at = None if open_end else self._written(messages)
        end = str(self._tokenizer.eos_token)
        source = f"{self._source(messages[:at], tools)}{end}\n"
        return source if at is None else f"{source}{_target(messages[at])}{end}"

    def _written(self, messages: Sequence[ChatMessage]) -> int | None:
        """Place of the answer that the decoder writes: the learned one, or else the last one."""
        places = self.answers(messages) or [i for i, message in enumerate(messages) if message.role == "assistant"]
        return places[-1] if places else None

    def _source(self, messages: Sequence[ChatMessage], tools: Tools) -> str:
        """What the encoder reads of a conversation."""
        plain = written_out(self._as_plain(messages), tools)
        turns = sum(message["role"] != "system" for message in plain)
        lines = [
            message["content"] if message["role"] == "system" or turns < 2 else _TURN.format(**message)
            for message in plain
        ]
        return "\n".join(line for line in lines if line)


def _target(answer: ChatMessage) -> str:
    """What the decoder writes."""
    return write_answer(answer.content, answer.tool_calls)
