"""Text to token ids, with what stands between special tokens remembered: system messages repeat from row to row."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
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
        self._remembered: OrderedDict[str, list[int]] = OrderedDict()  # the latest used last

    def ids(self, text: str) -> list[int]:
        """The token ids of a text."""
        return self.ids_of_all([text])[0]

    def ids_of_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of several texts; on all cores where there are many."""
        split = [self._borders.split(text) if self._borders else [text] for text in texts]
        known = self._look_up({piece for each in split for piece in each})
        return [[token for piece in each for token in known[piece]] for each in split]

    def _look_up(self, pieces: set[str]) -> dict[str, list[int]]:
        known: dict[str, list[int]] = {"": []}
        for piece in pieces & self._remembered.keys():
            self._remembered.move_to_end(piece)
            known[piece] = self._remembered[piece]
        new = sorted(pieces - known.keys())
        found = dict(zip(new, self._encode(new), strict=True))
        self._remembered.update((text, ids) for text, ids in found.items() if len(text) <= _LONGEST_REMEMBERED)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return known | found

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self._backend is None:
            return [list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        if len(texts) == 1:
            return [self._backend.encode(texts[0], add_special_tokens=False).ids]
        return [found.ids for found in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

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
            apart = [token for ids in self._encode(pieces) for token in ids]
            if self._encode([probe]) != [apart]:
                return None
        return borders
