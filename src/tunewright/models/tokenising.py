"""Text to token ids, with what stands between special tokens remembered: system messages repeat from row to row."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_REMEMBERED = 4096
_LONGEST_REMEMBERED = 20_000  # characters


class Tokeniser:
    """A tokenizer's ids for texts, without special tokens added.

    A tokenizer cuts a text at its special tokens before anything else, so the ids of what stands between them can be
    looked up. Where a probe shows that a tokenizer does not work so (some put a mark in front of a text's first word
    alone), whole texts are looked up.

    Args:
        tokenizer: The base's tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        self._borders = self._find_borders()
        self._remembered = lru_cache(_REMEMBERED)(self._encode)

    def ids(self, text: str) -> list[int]:
        """The token ids of a text."""
        found: list[int] = []
        for piece in self._borders.split(text) if self._borders else (text,):
            if piece:
                found += self._remembered(piece) if len(piece) <= _LONGEST_REMEMBERED else self._encode(piece)
        return found

    def _encode(self, text: str) -> tuple[int, ...]:
        if self._backend is None:
            return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return tuple(self._backend.encode(text, add_special_tokens=False).ids)

    def _find_borders(self) -> re.Pattern[str] | None:
        """Matches the special tokens; None where texts cannot be cut at them."""
        if self._backend is None:
            return None
        marks = sorted(self._tokenizer.get_added_vocab(), key=len, reverse=True)
        if not marks:
            return None
        borders = re.compile("(" + "|".join(map(re.escape, marks)) + ")")
        for mark in marks:
            probe = f"To be{mark}or not\n {mark} to be,{mark}\n42 {mark}{mark}é"
            pieces = [piece for piece in borders.split(probe) if piece]
            apart = [token for piece in pieces for token in self._encode(piece)]
            if list(self._encode(probe)) != apart:
                return None
        return borders
