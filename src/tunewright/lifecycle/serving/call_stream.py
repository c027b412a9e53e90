"""An answer's text as it comes, parted into what is said and what is called.

Calls stand in `<tool_call>` tags, or the whole answer is bare JSON (`models.tool_calls.read_calls`). Of a call in tags
the name is told as soon as it is known, and its arguments as they are written. Whether bare JSON is a call shows at
its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tunewright.models.tool_calls import CLOSE, OPEN, read_calls

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of what is said."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call begins."""

    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """A piece of the arguments of the call that began last, as JSON."""

    text: str


Event = Said | CallBegun | Arguments


class CallStream:
    """Reads an answer piece by piece.

    Args:
        reads_calls: Whether calls are looked for; else all is said.
        reads_bare: Whether an answer that is JSON as a whole may be a call.
        most: Calls that are told of; None: all.
    """

    def __init__(self, *, reads_calls: bool, reads_bare: bool = True, most: int | None = None) -> None:
        self._reads_calls, self._reads_bare, self._most = reads_calls, reads_bare, most
        self._state: Literal["start", "text", "bare", "head", "arguments", "tail"] = "start"
        self._held = ""
        self._depth = 0
        self._in_string = self._escaped = False
        self.calls = 0

    def add(self, text: str) -> list[Event]:
        """What a further piece of text tells."""
        if not self._reads_calls:
            return [Said(text)] if text else []
        self._held += text
        return _joined(self._read())

    def finish(self) -> list[Event]:
        """What was held back, once nothing follows."""
        held, self._held = self._held, ""
        if self._state == "bare":
            return list(self._whole(held, held))
        if self._state == "head":
            return list(self._whole(f"{OPEN}{held}", f"{OPEN}{held}"))
        if self._state in ("start", "text") and held and not (self.calls and not held.strip()):
            return [Said(held)]
        return []

    def _read(self) -> Iterator[Event]:
        """Goes from state to state as far as the text that is held leads."""
        going_on = True
        while going_on:
            state = self._state
            if state == "start":
                self._start()
            elif state == "text":
                yield from self._text()
            elif state == "head":
                yield from self._head()
            elif state == "arguments":
                yield from self._arguments()
            elif state == "tail":
                self._tail()
            going_on = self._state != state

    def _start(self) -> None:
        first = self._held.lstrip()[:1]
        if first:
            self._state = "bare" if self._reads_bare and first in "[{" else "text"

    def _text(self) -> Iterator[Event]:
        place = self._held.find(OPEN)
        if place >= 0:
            before, self._held = self._held[:place].rstrip(), self._held[place + len(OPEN) :]
            self._state = "head"
        else:
            # White space goes with what follows it, which may be a call.
            safe = len(self._held[: len(self._held) - _begun(self._held)].rstrip())
            before, self._held = self._held[:safe], self._held[safe:]
        if before:
            yield Said(before)

    def _head(self) -> Iterator[Event]:
        if found := _HEAD.match(self._held):
            self._held = self._held[found.end() :]
            self._depth, self._in_string, self._escaped = 0, False, False
            yield from self._begin(_name(found[1]))
            self._state = "arguments"
        elif CLOSE in self._held:
            block, _, self._held = self._held.partition(CLOSE)
            written = f"{OPEN}{block}{CLOSE}"
            yield from self._whole(written, written)
            self._state = "text"

    def _arguments(self) -> Iterator[Event]:
        for place, letter in enumerate(self._held):
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                self._escaped, self._in_string = letter == "\\", letter != '"'
            elif letter == '"':
                self._in_string = True
            elif letter in "{[":
                self._depth += 1
            elif letter in "}]":
                self._depth -= 1
                if self._depth == 0:
                    piece, self._held = self._held[: place + 1], self._held[place + 1 :]
                    self._state = "tail"
                    yield from self._argue(piece)
                    return
        piece, self._held = self._held, ""
        yield from self._argue(piece)

    def _tail(self) -> None:
        if CLOSE in self._held:
            self._held = self._held.partition(CLOSE)[2]
            self._state = "text"

    def _whole(self, written: str, otherwise: str) -> Iterator[Event]:
        """The calls in a text that is there as a whole; it is said where there are none."""
        calls = read_calls(written)
        if not calls:
            yield Said(otherwise)
        for call in calls or ():
            yield from self._begin(call.name)
            yield from self._argue(json.dumps(dict(call.arguments), ensure_ascii=False))

    def _begin(self, name: str) -> Iterator[Event]:
        self.calls += 1
        if self._most is None or self.calls <= self._most:
            yield CallBegun(name)

    def _argue(self, text: str) -> Iterator[Event]:
        if text and (self._most is None or self.calls <= self._most):
            yield Arguments(text)


def _name(quoted: str) -> str:
    try:
        return str(json.loads(quoted, strict=False))
    except ValueError:  # an escape that JSON does not know
        return quoted[1:-1]


def _begun(text: str) -> int:
    """Length of the longest end of a text that may be the beginning of a tag."""
    return next((n for n in range(min(len(text), len(OPEN) - 1), 0, -1) if text.endswith(OPEN[:n])), 0)


def _joined(events: Iterator[Event]) -> list[Event]:
    """Events in order, neighbouring pieces of one kind in one."""
    found: list[Event] = []
    for event in events:
        if found and isinstance(event, Said) and isinstance(found[-1], Said):
            found[-1] = Said(found[-1].text + event.text)
        else:
            found.append(event)
    return found
