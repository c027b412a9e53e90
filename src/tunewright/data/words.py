"""A text as its words and what stands between them, and which of the words may be changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tunewright.data.protected import CODE, NAMES, WORD

Span = tuple[int, int]

_WORD = re.compile(WORD)
_KEPT = re.compile(f"{CODE}|{NAMES}")
# Where a capital says nothing of the word: at the start, behind the end of a sentence, a colon, a quote or a bullet.
_OPENS = re.compile(r"(?:\A|[.!?…:;\n\"'“”„«»(\[*•-])\s*\Z")
_LOOK_BACK = 8
# Words without which an English sentence says the opposite; no likeness of texts notices.
_NEGATION = re.compile(
    r"(?i)(?<!\w)(?:no|not|never|none|nor|neither|nobody|nothing|nowhere|without|cannot|\w+n['’]t)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Words:
    """A text taken apart.

    Args:
        parts: What stands in front of the first word, the first word, what is between it and the second, …, what stands
            behind the last; an odd number of them, which joined are the text.
        free: For each word whether it may be changed.
        joined: For each word whether it must stay behind what is in front of it, as within a name of two words.
        kept: The stretches that must stay, as texts.
    """

    parts: tuple[str, ...]
    free: tuple[bool, ...]
    joined: tuple[bool, ...]
    kept: tuple[str, ...]

    @classmethod
    def read(cls, text: str, phrases: Sequence[str] = (), spans: Sequence[Span] = ()) -> Words:
        """Takes a text apart.

        Args:
            phrases: Words and phrases to keep, whatever their case.
            spans: Stretches to keep, as begin and end.
        """
        kept = _merged([*spans, *_kept_spans(text, tuple(phrases))])
        parts, free, joined, at, place = [], [], [], 0, 0
        for found in _WORD.finditer(text):
            start, end = found.span()
            parts += [text[at:start], found[0]]
            while place < len(kept) and kept[place][1] <= start:
                place += 1
            inside = place < len(kept) and kept[place][0] < end
            free.append(not inside)
            joined.append(inside and kept[place][0] < start)
            at = end
        return cls((*parts, text[at:]), tuple(free), tuple(joined), tuple(text[a:b] for a, b in kept))

    @property
    def text(self) -> str:
        """The text again."""
        return "".join(self.parts)

    @property
    def words(self) -> tuple[str, ...]:
        """The words."""
        return self.parts[1::2]

    @property
    def places(self) -> list[int]:
        """The numbers of the words that may be changed."""
        return [place for place, free in enumerate(self.free) if free]

    def keeps(self, variant: str) -> bool:
        """Whether a variant still holds every stretch that must stay, as often as the text does."""
        return all(variant.count(each) >= count for each, count in Counter(self.kept).items())


def like(word: str, model: str) -> str:
    """A word in lower case, written with capitals as another is."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def _kept_spans(text: str, phrases: tuple[str, ...]) -> Iterator[Span]:
    for pattern in (_KEPT, _NEGATION):
        yield from (found.span() for found in pattern.finditer(text))
    for found in _WORD.finditer(text):
        # A capital in the middle of a sentence makes a name, but for English's "I"; so do several in one word.
        if (
            found[0][:1].isupper()
            and re.split("['’]", found[0])[0] != "I"
            and (
                (len(found[0]) > 1 and found[0].isupper())
                or not _OPENS.search(text[max(0, found.start() - _LOOK_BACK) : found.start()])
            )
        ):
            yield found.span()
    yield from phrase_spans(text, phrases)


def phrase_spans(text: str, phrases: Sequence[str]) -> list[Span]:
    """Where words and phrases stand in a text, whatever their case and the white space between their words."""
    pattern = _pattern(tuple(phrases))
    return [found.span() for found in pattern.finditer(text)] if pattern else []


@lru_cache(maxsize=1024)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds phrases as whole words, longer ones first."""
    wanted = sorted({phrase.strip() for phrase in phrases if phrase.strip()}, key=lambda text: (-len(text), text))
    if not wanted:
        return None
    each = (r"\s+".join(map(re.escape, phrase.split())) for phrase in wanted)
    return re.compile(rf"(?<!\w)(?:{'|'.join(each)})(?!\w)", re.IGNORECASE)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The stretches in order, those that overlap as one."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
