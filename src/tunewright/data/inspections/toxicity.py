"""Toxicity: texts with words of a list of profanities. A list of words, and no judgement of what is meant."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.near import words_of
from tunewright.data.quality.demographics import TERMS
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Inspection, counted, graded
from tunewright.data.quality.view import View

_SHOWN_WORDS = 10
# Words of the list that ordinary texts have in another sense, seen in banks', shops' and doctors' mail.
_ORDINARY = frozenset(
    (
        *("breast", "breasts", "cocaine", "crack", "drunk", "erect", "erection", "fat", "god", "hell", "heroin"),
        *("hiv", "junkie", "kill", "kinky", "lube", "menstruate", "menstruation", "opium", "organ", "ovary"),
        *("ovum", "pee", "period", "pot", "screw", "screwed", "screwing", "sex", "stoned", "strip", "stroke"),
        *("thrust", "urinal", "urine", "uterus", "virgin", "vulgar", "weed", "womb"),
    )
)


class Config(PluginConfig):
    """Settings of `toxicity`."""

    name: Literal["toxicity"] = "toxicity"
    words: tuple[str, ...] = Field((), description="Further words or phrases to look for.")
    keep: tuple[str, ...] = Field((), description="Words or phrases of the list that are not to count.")
    look: float = Field(0.0005, ge=0, le=1, description="From this share of rows on, look.")
    act: float = Field(0.02, ge=0, le=1, description="From this share on, a model will learn the tone.")


def inspect(view: View, config: Config) -> Inspection:
    """Counts rows whose question or answer has a word or phrase of the list, whole words in any case.

    The list is that of the package better-profanity (MIT), without its words for groups of people, which are no abuse
    by themselves (the inspection `bias` looks at those), and without words that ordinary texts have in another sense.
    """
    data = view.data
    listed = {*_listed(), *map(words_of, config.words)} - {words_of(word) for word in config.keep}
    by_first: dict[str, list[str]] = {}
    for term in sorted(listed):
        by_first.setdefault(term.partition(" ")[0], []).append(term)
    asked = [_terms(text, by_first) for text in data.words]
    answered = [_terms(words_of(text), by_first) for text in data.answers]
    rows = [row for row in range(len(data)) if asked[row] or answered[row]]
    counts = Counter(term for row in rows for term in {*asked[row], *answered[row]})
    in_answers = sum(bool(terms) for terms in answered)
    share = len(rows) / len(data)
    order = np.argsort([-len(asked[row]) - 2 * len(answered[row]) for row in rows], kind="stable").tolist()
    return Inspection(
        title="Toxicity",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"{counted(len(rows), 'row')} with words of a list of {len(listed):,} profanities, "
        f"{in_answers:,} of them in the answer.",
        meaning="This is a list of English words: it misses abuse without them and in other languages, and flags what "
        "is merely quoted. In answers such words teach the model a tone.",
        advice="Read these rows; take out answers that a model must not give." if rows else "",
        numbers={
            "rows": len(rows),
            "in_answers": in_answers,
            "words": dict(counts.most_common()),
            "listed": len(listed),
        },
        worst=tuple(
            data.case(
                rows[place],
                ", ".join(_masked(term) for term in dict.fromkeys([*asked[rows[place]], *answered[rows[place]]])),
                _shown(data.prompts[rows[place]], data.answers[rows[place]] if answered[rows[place]] else ""),
            )
            for place in order[:WORST]
        ),
        charts=(
            (Bars("Words found", tuple((_masked(term), float(n)) for term, n in counts.most_common(_SHOWN_WORDS))),)
            if counts
            else ()
        ),
    )


@cache
def _listed() -> frozenset[str]:
    # The file alone: importing the package would build every misspelling of every word.
    lines = (files("better_profanity") / "profanity_wordlist.txt").read_text("utf-8").splitlines()
    people = {term for groups in TERMS.values() for terms in groups.values() for term in terms}
    return frozenset(words_of(line) for line in lines) - people - _ORDINARY - {""}


def _terms(words: str, by_first: dict[str, list[str]]) -> list[str]:
    """The listed words and phrases in a text that is reduced to words, in order; they are given by their first word."""
    if by_first.keys().isdisjoint(each := words.split(" ")):
        return []
    return [
        term
        for at, word in enumerate(each)
        for term in by_first.get(word, ())
        if each[at : at + term.count(" ") + 1] == term.split(" ")
    ]


def _masked(term: str) -> str:
    """The term with its inner letters hidden: people read this page."""
    return " ".join(f"{word[0]}{'*' * (len(word) - 2)}{word[-1]}" if len(word) > 2 else word for word in term.split())


def _shown(prompt: str, answer: str) -> str:
    return f"{prompt} → {answer}" if answer else prompt
