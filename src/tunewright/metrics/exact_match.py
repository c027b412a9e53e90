"""Share of answers that equal the reference, or one of several; white space at both ends aside.

With `articles` and `punctuation` set to `ignored` and `casefold`, texts are normalised as SQuAD's evaluation does it
(Rajpurkar et al. 2016), in any script: lower case, no punctuation (ASCII's, and Unicode's category P), no English
articles, single spaces. What is empty once it is normalised equals only what is empty as well.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share

ABOUT = {"exact_match": About("Answer exactly right", "the answer, stripped, equals the expected one")}

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.IGNORECASE)


class Config(PluginConfig):
    """Settings of the exact match."""

    name: Literal["exact_match"] = "exact_match"
    casefold: bool = Field(False, description="Whether upper and lower case count as the same.")
    punctuation: Literal["kept", "ignored"] = Field("kept", description="Whether punctuation counts.")
    articles: Literal["kept", "ignored"] = Field("kept", description="Whether `a`, `an` and `the` count.")
    spaces: Literal["kept", "folded"] = Field("kept", description="Whether any white space counts as one space.")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the normalised texts are equal, else 0; reduced to the mean."""
    require_answers(config.name, answers)

    def norm(text: str) -> str:
        if config.casefold:
            text = text.casefold()
        if config.punctuation == "ignored":
            text = "".join(mark for mark in text if not _is_punctuation(mark))
        if config.articles == "ignored":
            text = _ARTICLES.sub(" ", text)
        if config.spaces == "folded" or config.articles == "ignored":
            text = " ".join(text.split())
        return text.strip()

    hits = [
        any(norm(answer.prediction) == norm(right) for right in (answer.reference, *answer.references))
        for answer in answers
    ]
    return [share(config.name, hits)]


@cache
def _is_punctuation(mark: str) -> bool:
    return mark in string.punctuation or unicodedata.category(mark).startswith("P")
