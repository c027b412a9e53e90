"""Whether an answer rests on its passage: a score of words and numbers, which no model is asked for.

Every number of the answer must stand in the passage, and of its content words at least a share. A content word has four
letters or more; of scripts that put no spaces between words each pair of signs counts as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunewright.data.folding import fold

THRESHOLD = 0.8  # lets one word in five be an inflection, or the answer's own

_SHORTEST_WORD = 4
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W\d_{_UNSPACED}]+")
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f]\d+)*")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")


@dataclass(frozen=True, slots=True)
class Grounding:
    """How far a text stands in another.

    Args:
        share: Of its content words those that stand there too; of all its words where none has four letters. 0…1.
        missing_numbers: Its numbers that do not.
    """

    share: float
    missing_numbers: tuple[str, ...]

    def holds(self, threshold: float) -> bool:
        """Whether it rests on the other text."""
        return not self.missing_numbers and self.share >= threshold


def grounding(answer: str, passage: str) -> Grounding:
    """How far an answer stands in a passage, word for word, whatever the case."""
    known_words, known_numbers = set(_words(passage)), set(_numbers(passage))
    words = _words(answer)
    told = [word for word in words if len(word) >= _SHORTEST_WORD or _IS_UNSPACED.match(word)] or words
    share = sum(word in known_words for word in told) / len(told) if told else float(bool(_numbers(answer)))
    return Grounding(share, tuple(number for number in _numbers(answer) if number not in known_numbers))


def _words(text: str) -> list[str]:
    words = []
    for token in _TOKEN.findall(fold(text)):
        if _IS_UNSPACED.match(token) and len(token) > 1:
            words += [token[at : at + 2] for at in range(len(token) - 1)]
        else:
            words.append(token)
    return words


def _numbers(text: str) -> list[str]:
    """The numbers of a text by their digits alone: 1,000 and 1.000 are one number, as are 3.5 and 3,5."""
    return [re.sub(r"\D", "", number) for number in _NUMBER.findall(fold(text))]
