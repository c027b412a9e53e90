"""What measures are called and mean, for people; each metric's own file says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from tunewright.base.plugins import METRICS

ANY = "*"


@dataclass(frozen=True, slots=True)
class About:
    """A measure in words.

    Args:
        title: What a table calls it.
        meaning: What it measures, in a clause.
        best: The value of perfect answers; None where there is no such.
        is_share: Whether it lies in 0…1 and reads as percent.
        less_is_better: Whether a smaller value is the better one.
        field: What stands for the `*` in the name it was looked up by.
    """

    title: str
    meaning: str
    best: float | None = 1.0
    is_share: bool = True
    less_is_better: bool = False
    field: str = ""


def about(measure: str) -> About | None:
    """What a measure is called and means; None where no metric knows it.

    Each metric's file has `ABOUT`, a mapping of its measures' names to words. A name there may hold one `*`, which
    stands for a field or a class, and is put into the words; the longest name that fits counts.
    """
    known = _known()
    if measure in known:
        return known[measure]
    for pattern in sorted((name for name in known if ANY in name), key=len, reverse=True):
        head, _, tail = pattern.partition(ANY)
        if len(measure) > len(head) + len(tail) and measure.startswith(head) and measure.endswith(tail):
            field, words = measure[len(head) : len(measure) - len(tail)], known[pattern]
            meaning = words.meaning.replace(ANY, field)
            return replace(words, title=words.title.replace(ANY, _spaced(field)), meaning=meaning, field=field)
    return None


@cache
def _known() -> dict[str, About]:
    return {
        measure: words
        for name in METRICS.names()
        for measure, words in getattr(METRICS.module(name), "ABOUT", {}).items()
    }


def _spaced(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]
