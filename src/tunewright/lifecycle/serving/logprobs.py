"""Log-probabilities as OpenAI's API writes them: a list of tokens in chats, arrays side by side in completions."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.generate.drawing import Chosen

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's
# What JSON can hold of minus infinity: a token that could not be chosen.
_NEVER = -9999.0


class TokenTexts:
    """What each token of a vocabulary stands for.

    Args:
        tokenizer: A transformers tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.bytes_of = lru_cache(maxsize=1 << 16)(self._bytes_of)

    def chat_logprob(self, chosen: Chosen) -> dict[str, Any]:
        """A token of a chat's `logprobs.content`."""
        tops = [self._chat_token(token, logprob) for token, logprob in chosen.top]
        return {**self._chat_token(chosen.token, chosen.logprob), "top_logprobs": tops}

    def arrays(
        self, tokens: Sequence[Chosen], offset: int = 0, *, has_first: bool = True, unseen: int = 0
    ) -> dict[str, Any]:
        """Tokens in the older array form.

        Args:
            tokens: In order.
            offset: Characters in front of the first one.
            has_first: Whether the first one has a log-probability; the first of a prompt has none.
            unseen: How many of them, the first ones, are no part of the text.
        """
        reader = codecs.getincrementaldecoder("utf-8")("replace")
        texts, logprobs, tops, offsets = [], [], [], []
        for place, chosen in enumerate(tokens):
            known = has_first or place > 0
            texts.append(self.shown(chosen.token))
            logprobs.append(_finite(chosen.logprob) if known else None)
            tops.append(self._older_top(chosen) if known else None)
            offsets.append(offset)
            if place >= unseen:
                offset += len(reader.decode(self.bytes_of(chosen.token)))
        return {"tokens": texts, "token_logprobs": logprobs, "top_logprobs": tops, "text_offset": offsets}

    def shown(self, token: int) -> str:
        r"""A token's text; of one that is part of a character its bytes, as in `bytes:\xe2\x80`."""
        raw = self.bytes_of(token)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)

    def _older_top(self, chosen: Chosen) -> dict[str, float]:
        """The likeliest tokens, and the one that was chosen, which need not be among them."""
        found: dict[str, float] = {}
        for token, logprob in (*chosen.top, (chosen.token, chosen.logprob)):
            # Two tokens may have one text, such as a space and the special token for it.
            found.setdefault(self.shown(token), _finite(logprob))
        return found

    def _chat_token(self, token: int, logprob: float) -> dict[str, Any]:
        raw = self.bytes_of(token)
        return {"token": raw.decode(errors="replace"), "bytes": list(raw), "logprob": _finite(logprob)}

    def _bytes_of(self, token: int) -> bytes:
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:  # the model's vocabulary is padded beyond its tokenizer's
            return b""
        if token in self._specials:
            return str(piece).encode()
        if self._letters is not None:
            return bytes(self._letters[letter] for letter in piece if letter in self._letters)
        if byte := _BYTE.fullmatch(piece):
            return bytes([int(byte[1], 16)])
        if self._has_spaces:
            return str(piece).replace(_SPACE, " ").encode()
        return str(self._tokenizer.decode([token])).encode()

    @cached_property
    def _specials(self) -> frozenset[int]:
        return frozenset(self._tokenizer.get_added_vocab().values())

    @cached_property
    def _letters(self) -> dict[str, int] | None:
        """The byte that each letter of a byte-level vocabulary stands for; None for other vocabularies."""
        from tokenizers.decoders import ByteLevel, Sequence

        decoder = self._tokenizer.backend_tokenizer.decoder
        is_bytes = isinstance(decoder, ByteLevel) or (isinstance(decoder, Sequence) and "ByteLevel" in str(decoder))
        return _byte_letters() if is_bytes else None

    @cached_property
    def _has_spaces(self) -> bool:
        return any(piece.startswith(_SPACE) for piece in self._tokenizer.get_vocab())


@lru_cache(maxsize=1)
def _byte_letters() -> dict[str, int]:
    """GPT-2's letters for bytes: printable ones for themselves, the others from 256 on.

    Source: Radford et al. 2019, https://github.com/openai/gpt-2/blob/master/src/encoder.py
    """
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _finite(logprob: float) -> float:
    return max(logprob, _NEVER)
