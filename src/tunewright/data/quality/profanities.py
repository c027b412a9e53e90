"""Profanities: a list of English words and phrases, and where they stand in a text. No judgement of what is meant."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.resources import files

from tunewright.data.near import words_of
from tunewright.data.quality.demographics import TERMS

# Words of the list that ordinary texts have in another sense, seen in banks', shops' and doctors' mail.
_ORDINARY = frozenset(
    (
        *("breast", "breasts", "cocaine", "crack", "drunk", "erect", "erection", "fat", "god", "hell", "heroin"),
        *("hiv", "junkie", "kill", "kinky", "lube", "menstruate", "menstruation", "opium", "organ", "ovary"),
        *("ovum", "pee", "period", "pot", "screw", "screwed", "screwing", "sex", "stoned", "strip", "stroke"),
        *("thrust", "urinal", "urine", "uterus", "virgin", "vulgar", "weed", "womb"),
    )
)


def profanities(words: Collection[str] = (), keep: Collection[str] = ()) -> dict[str, list[str]]:
    """What is listed, reduced to words, by its first word.

    The list is that of the package better-profanity (MIT), without its words for groups of people, which are no abuse
    by themselves, and without words that ordinary texts have in another sense.

    Args:
        words: Further words and phrases.
        keep: Words and phrases of the list that are not to count.
    """
    listed = {*_listed(), *map(words_of, words)} - {words_of(word) for word in keep}
    by_first: dict[str, list[str]] = {}
    for term in sorted(listed):
        by_first.setdefault(term.partition(" ")[0], []).append(term)
    return by_first


def terms(words: str, by_first: dict[str, list[str]]) -> list[str]:
    """The listed words and phrases in a text that is reduced to words, in order; they are given by their first word."""
    if by_first.keys().isdisjoint(each := words.split(" ")):
        return []
    return [
        term
        for at, word in enumerate(each)
        for term in by_first.get(word, ())
        if each[at : at + term.count(" ") + 1] == term.split(" ")
    ]


def masked(term: str) -> str:
    """The term with its inner letters hidden: people read this page."""
    return " ".join(f"{word[0]}{'*' * (len(word) - 2)}{word[-1]}" if len(word) > 2 else word for word in term.split())


@cache
def _listed() -> frozenset[str]:
    # The file alone: importing the package would build every misspelling of every word.
    lines = (files("better_profanity") / "profanity_wordlist.txt").read_text("utf-8").splitlines()
    people = {term for groups in TERMS.values() for terms in groups.values() for term in terms}
    return frozenset(words_of(line) for line in lines) - people - _ORDINARY - {""}
