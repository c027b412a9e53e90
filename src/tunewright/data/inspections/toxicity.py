"""Toxicity: texts with words of a list of profanities. A list of words, and no judgement of what is meant."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.near import words_of
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Inspection, counted, graded
from tunewright.data.quality.profanities import masked, profanities, terms
from tunewright.data.quality.view import View

_SHOWN_WORDS = 10


class Config(PluginConfig):
    """Settings of `toxicity`."""

    name: Literal["toxicity"] = "toxicity"
    words: tuple[str, ...] = Field((), description="Further words or phrases to look for.")
    keep: tuple[str, ...] = Field((), description="Words or phrases of the list that are not to count.")
    look: float = Field(0.0005, ge=0, le=1, description="From this share of rows on, look.")
    act: float = Field(0.02, ge=0, le=1, description="From this share on, a model will learn the tone.")


def inspect(view: View, config: Config) -> Inspection:
    """Counts rows whose question or answer has a word or phrase of the list, whole words in any case.

    The list is that of `quality.profanities`; words for groups of people are looked at by the inspection `bias`.
    """
    data = view.data
    listed = profanities(config.words, config.keep)
    size = sum(map(len, listed.values()))
    asked = [terms(text, listed) for text in data.words]
    answered = [terms(words_of(text), listed) for text in data.answers]
    rows = [row for row in range(len(data)) if asked[row] or answered[row]]
    counts = Counter(term for row in rows for term in {*asked[row], *answered[row]})
    in_answers = sum(map(bool, answered))
    share = len(rows) / len(data)
    order = np.argsort([-len(asked[row]) - 2 * len(answered[row]) for row in rows], kind="stable").tolist()
    return Inspection(
        title="Toxicity",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"{counted(len(rows), 'row')} with words of a list of {size:,} profanities, "
        f"{in_answers:,} of them in the answer.",
        meaning="This is a list of English words: it misses abuse without them and in other languages, and flags what "
        "is merely quoted. In answers such words teach the model a tone.",
        advice="Read these rows; take out answers that a model must not give." if rows else "",
        numbers={
            "rows": len(rows),
            "in_answers": in_answers,
            "words": dict(counts.most_common()),
            "listed": size,
        },
        worst=tuple(
            data.case(
                rows[place],
                ", ".join(masked(term) for term in dict.fromkeys([*asked[rows[place]], *answered[rows[place]]])),
                _shown(data.prompts[rows[place]], data.answers[rows[place]] if answered[rows[place]] else ""),
            )
            for place in order[:WORST]
        ),
        charts=(
            (Bars("Words found", tuple((masked(term), float(n)) for term, n in counts.most_common(_SHOWN_WORDS))),)
            if counts
            else ()
        ),
    )


def _shown(prompt: str, answer: str) -> str:
    return f"{prompt} → {answer}" if answer else prompt
