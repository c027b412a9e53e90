"""Corrects spelling where it is clear what was meant, and leaves everything else alone.

Left alone are words in the dictionary or the glossary; words that many rows use (they are the domain's own); names,
which are words with a capital in mid-sentence; identifiers, numbers, code, addresses and placeholders; rows in other
languages, of which few words are in the dictionary; and words with several near candidates, or with one that the data
itself does not use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.data.folding import fold
from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, join_edits, replace
from tunewright.data.glossary import confirmed_terms
from tunewright.data.protected import WORD, matches, outside
from tunewright.data.spelling import Speller, speller
from tunewright.recipe.schema import DataPath

_WORD = re.compile(WORD)
_WORDS = outside(WORD, names=True)
_SENTENCE_END = re.compile(r"[.!?…:\n][\s\"'“”‘’(\[*•-]*\Z")
_BEFORE = 8  # characters looked at for the end of the sentence before


class Config(ColumnsConfig):
    """Settings of `spelling`."""

    name: Literal["spelling"] = "spelling"
    glossary: DataPath = Field("", description="A glossary file; its confirmed terms are never corrected.")
    dictionary: DataPath = Field(
        "", description="A file of lines `word count` instead of the English dictionary that comes along."
    )
    keep: tuple[str, ...] = Field((), description="Words that are never corrected, in any case.")
    least_letters: int = Field(4, ge=2, description="Shorter words are left alone.")
    long_word: int = Field(10, ge=4, description="From so many letters on, two errors may be corrected.")
    ratio: float = Field(10, ge=1, description="The best candidate must be so many times as common as the next.")
    least_uses: int = Field(
        3, ge=0, description="The right word must stand in so many cells already: a word that nobody uses is not meant."
    )
    own_word_rows: int = Field(20, ge=1, description="A word that so many rows use is the domain's own …")
    own_word_share: float = Field(0.0005, ge=0, le=1, description="… if they are also this share of all rows.")
    least_known_share: float = Field(
        0.7, ge=0, le=1, description="Texts of whose other words fewer are in the dictionary are left alone."
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What all rows together say.

    Args:
        own: Words, in lower case, that could be corrected, and that many rows use.
        lower: Words that could be corrected, and stand somewhere without a capital, so that they are no names.
        used: Words of the dictionary that enough cells use.
    """

    own: frozenset[str]
    lower: frozenset[str]
    used: frozenset[str]


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Counts the cells in which words of the dictionary stand, and words that could be corrected to one.

    Both are few however many rows there are. Words in code and addresses count too: what stands there is hardly a slip.
    """
    words, kept = _speller(config), _kept(config)
    cells: Counter[str] = Counter()
    uses: Counter[str] = Counter()
    lower: set[str] = set()
    rows = 0
    for piece in pieces:
        check_columns(piece, config.columns, config.name)
        rows += piece.height
        for column in config.columns:
            for text in piece[column].drop_nulls():
                found = set(_WORD.findall(text))
                wrong = {word for word in found if _may_be_wrong(word, words, kept, config)}
                cells.update({word.lower() for word in wrong})
                lower.update(word for word in wrong if word.islower())
                small = {word.lower().replace("’", "'") for word in found - wrong}
                uses.update(word for word in small if word in words.counts)
    least = max(config.own_word_rows, config.own_word_share * rows)
    return Known(
        own=frozenset(word for word, count in cells.items() if count >= least),
        lower=frozenset(lower),
        used=frozenset(word for word, count in uses.items() if count >= config.least_uses),
    )


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Corrected cells; the reason of each edit names its words."""
    check_columns(frame, config.columns, config.name)
    words, kept = _speller(config), _kept(config)

    def may_err(text: str) -> bool:
        # Telling what is code, an address or an identifier takes a while, and few texts have a word to correct.
        return any(_may_be_wrong(word, words, kept, config) for word in set(_WORD.findall(text)))

    logs, findings = [], Counter({"words_corrected": 0, "texts_left_alone": 0})
    for column in config.columns:
        after: list[str | None] = []
        reasons: list[str | None] = []
        for text in frame[column]:
            found = list(_corrections(text, words, kept, known, config)) if text and may_err(text) else []
            if found and not _is_in_the_language(text, {match[0] for match, _ in found}, words, kept, config):
                findings["texts_left_alone"] += 1
                found = []
            for match, right in reversed(found):
                text = text[: match.start()] + right + text[match.end() :]
            findings["words_corrected"] += len(found)
            after.append(text)
            told = dict.fromkeys(f"{match[0]} → {right}" for match, right in found)
            reasons.append(f"spelling: {', '.join(told)}" if told else None)
        frame, log = replace(frame, column, pl.Series(after, dtype=pl.String), pl.Series(reasons, dtype=pl.String))
        logs.append(log)
    log = join_edits(logs)
    return StepResult(frame, log, {"cells_changed": log.height, **findings})


def _speller(config: Config) -> Speller:
    return speller(config.dictionary, config.ratio, config.long_word)


def _kept(config: Config) -> frozenset[str]:
    """Words of the glossary and of `keep`, folded."""
    terms = confirmed_terms(config.glossary) if config.glossary else ()
    forms = (form for term in terms for form in (term.form, *term.variants))
    return frozenset(word for form in (*forms, *config.keep) for word in re.findall(WORD, fold(form)))


def _plain_words(text: str) -> list[str]:
    return [match["free"] for match in matches(_WORDS, text)]


def _is_strange(word: str, words: Speller, kept: frozenset[str], config: Config) -> bool:
    """Whether a word is one to look at: written in small letters save the first, and in no dictionary."""
    small = word.lower()
    return (
        len(word) >= config.least_letters
        and (word.islower() or (word[0].isupper() and word[1:].islower()))
        and "'" not in word
        and "’" not in word
        and not words.knows(small)
        and small not in kept
    )


def _may_be_wrong(word: str, words: Speller, kept: frozenset[str], config: Config) -> bool:
    return _is_strange(word, words, kept, config) and words.correction(word.lower()) is not None


def _corrections(
    text: str, words: Speller, kept: frozenset[str], known: Known, config: Config
) -> Iterator[tuple[re.Match[str], str]]:
    """The words of a text that are clearly misspelt, and what they should be."""
    for match in matches(_WORDS, text):
        word = match["free"]
        if not _is_strange(word, words, kept, config):
            continue
        small = word.lower()
        if small in known.own or (small != word and (small not in known.lower or not _begins(match))):
            continue
        right = words.correction(small)
        if right and (right in known.used or not config.least_uses):
            yield match, right if small == word else right[0].upper() + right[1:]


def _begins(match: re.Match[str]) -> bool:
    """Whether a word is the first of a sentence or of the text."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    return not before.strip() or _SENTENCE_END.search(before) is not None


def _is_in_the_language(text: str, corrected: set[str], words: Speller, kept: frozenset[str], config: Config) -> bool:
    """Whether enough of a text's words are known; names and the words to correct do not count."""
    others = [word for word in _plain_words(text) if word.islower() and word not in corrected]
    known = sum(words.knows(word) or word in kept for word in others)
    return known > 0 and known >= max(len(corrected), config.least_known_share * len(others))
