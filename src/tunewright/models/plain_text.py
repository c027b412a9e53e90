"""How a model reads documents: without a chat template, with the tokens that begin and end one."""

from __future__ import annotations

from typing import Any

from tunewright.base.errors import ModelError

# What models were pre-trained with between documents, where their tokenizer's own end token ends a chat turn instead.
_ENDS = ("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>")


class PlainText:
    """Documents in tokens.

    Args:
        tokenizer: A transformers tokenizer.

    Raises:
        ModelError: If the tokenizer has no token that could end a document.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        first = tokenizer("x")["input_ids"][:1]
        #: What stands in front of every document: the token that begins a text, where the tokenizer puts one there.
        self.begin: tuple[int, ...] = (first[0],) if first and first[0] == tokenizer.bos_token_id else ()
        #: The token behind every document: that of pre-training where the vocabulary has it, else the tokenizer's own.
        self.end: int = self._find_end()

    @property
    def prefix(self) -> int:
        """What stands in front of a document that is scored from its first token on."""
        return self.begin[0] if self.begin else self.end

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text, or a piece of one, without the tokens that begin and end a document."""
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def show(self, tokens: list[int]) -> str:
        """The text of tokens, markers included."""
        return str(self._tokenizer.decode(tokens))

    def _find_end(self) -> int:
        specials = set(self._tokenizer.all_special_tokens) | set(self._tokenizer.get_added_vocab())
        for text in _ENDS:
            if text in specials:
                return int(self._tokenizer.convert_tokens_to_ids(text))
        if self._tokenizer.eos_token_id is None:
            raise ModelError(
                "This model's tokenizer has no token that ends a document",
                where=str(getattr(self._tokenizer, "name_or_path", "")),
                hint="Set eos_token in its tokenizer_config.json.",
            )
        return int(self._tokenizer.eos_token_id)
