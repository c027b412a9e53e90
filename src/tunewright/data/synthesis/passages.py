"""Passages of documents: long enough to hold an answer, short enough to be read with it, and drawn from all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

from tunewright.base.errors import DataError
from tunewright.data.documents import Section
from tunewright.data.rows import Fault

_WANTED_CHARACTERS = 1500
_LONGEST_CHARACTERS = 2500
_SHORTEST_CHARACTERS = 80
_BREAK = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    Args:
        text: What it says.
        source: The document's file.
        line: Where the document stands in it, or 1 for a whole file.
        start: Where the passage begins in the document, in characters from 0.
    """

    text: str
    source: str
    line: int
    start: int


def passages(sections: Iterable[Section | Fault]) -> Iterator[Passage]:
    """The passages of documents, in order, cut at empty lines, else at sentences, else anywhere."""
    document, offset = "", 0
    for section in sections:
        if isinstance(section, Fault):
            continue
        offset = offset if section.document == document else 0
        document = section.document
        for start, end in _cuts(section.text):
            text = section.text[start:end].strip()
            if len(text) >= _SHORTEST_CHARACTERS:
                begins = start + section.text[start:end].index(text)
                yield Passage(text, section.source, section.line, offset + begins)
        offset += len(section.text)


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    """Where passages begin and end."""
    start = 0
    while len(text) - start > _LONGEST_CHARACTERS:
        window = text[start : start + _LONGEST_CHARACTERS]
        end = _last(_BREAK, window) or _last(_SENTENCE, window) or window.rfind(" ") + 1 or len(window)
        yield start, start + end
        start += end
    if start < len(text):
        yield start, len(text)


def _last(pattern: re.Pattern[str], window: str) -> int:
    """Where the last match ends that leaves a passage of a good length; 0 where there is none."""
    ends = [match.end() for match in pattern.finditer(window) if match.end() >= _WANTED_CHARACTERS // 2]
    near = [end for end in ends if end <= _WANTED_CHARACTERS]
    return near[-1] if near else ends[0] if ends else 0


def draw_passages(read: Callable[[], Iterable[Section | Fault]], count: int, seed: int) -> list[Passage]:
    """So many passages, each as likely as any other, in an order drawn with the seed; all where there are fewer.

    Args:
        read: Goes through the documents; called once.
        count: How many to draw.
        seed: Decides which (algorithm R, Vitter 1985).

    Raises:
        DataError: If no document is long enough for one.
    """
    dice = Random(seed)
    drawn: list[Passage] = []
    for number, passage in enumerate(passages(read())):
        if number < count:
            drawn.append(passage)
        elif (place := dice.randrange(number + 1)) < count:
            drawn[place] = passage
    if not drawn:
        raise DataError(
            f"No document holds a passage of {_SHORTEST_CHARACTERS} characters or more", hint="Bring longer documents."
        )
    dice.shuffle(drawn)
    return drawn
