"""The text of an answer as its tokens come: what may be shown already, and where a stop text ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
_BROKEN = "\N{REPLACEMENT CHARACTER}"  # what half a character reads as
# Tokens that are read again with new ones: how a token reads may depend on the one before it.
_CONTEXT = 4


class TextStream:
    """An answer's text, piece by piece.

    What is shown is never taken back, and all of it together is the answer's decoded text up to its first stop text. So
    half a character is held back until its other half comes, and so is what may be the beginning of a stop text. Each
    token is read with the few in front of it alone, and not with the whole answer.

    Args:
        decode: The text of tokens, such as `ChatFormat.decode`.
        stop_texts: Texts that end the answer, however its tokens cut them.
    """

    def __init__(self, decode: Decode, stop_texts: Sequence[str] = ()) -> None:
        self.stopped = False
        self._decode, self._stop_texts = decode, tuple(stop_texts)
        self._tokens: list[int] = []  # those that are still read with new ones
        self._known = 0  # characters of their text that have been passed on
        self._held = ""  # passed on, and not shown: it may be the beginning of a stop text

    def add(self, token: int) -> str:
        """What may be shown once the answer has one more token; nothing once it has stopped."""
        if self.stopped:
            return ""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        whole = text.rstrip(_BROKEN)
        fresh, self._known = whole[self._known :], max(self._known, len(whole))
        if whole == text and len(self._tokens) > 2 * _CONTEXT:
            self._forget()
        return self._pass(fresh)

    def _forget(self) -> None:
        """Reads on with the last tokens alone, from where a character begins."""
        # A character has four bytes at most, so one of four tokens in a row begins one, even where each is a byte.
        for count in range(_CONTEXT, 2 * _CONTEXT):
            text = self._decode(self._tokens[-count:])
            if _BROKEN not in text:
                self._tokens, self._known = self._tokens[-count:], len(text)
                return

    def finish(self) -> str:
        """What was held back, once no token follows."""
        if self.stopped:
            return ""
        text = self._decode(self._tokens)
        rest, self._known = text[self._known :], len(text)
        shown = self._pass(rest)
        if not self.stopped:
            shown, self._held = shown + self._held, ""
        return shown

    def _pass(self, fresh: str) -> str:
        """What may be shown of what was held and of fresh text."""
        self._held += fresh
        places = [place for stop in self._stop_texts if (place := self._held.find(stop)) >= 0]
        if places:
            self.stopped = True
            shown, self._held = self._held[: min(places)], ""
            return shown
        safe = len(self._held) - max((_begun(self._held, stop) for stop in self._stop_texts), default=0)
        shown, self._held = self._held[:safe], self._held[safe:]
        return shown


def _begun(text: str, stop: str) -> int:
    """Length of the longest end of a text that is the beginning of a stop text."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
