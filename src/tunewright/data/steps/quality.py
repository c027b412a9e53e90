"""Sets aside rows that are hardly text: rules on symbols, words, lines and repetition, each a setting.

The rules and their bounds are those of Gopher (Rae et al., "Scaling Language Models", 2021, appendix A.1.1 and table
A1), made for web pages. Rules about repetition and words mean little on a sentence, so they judge rows of `least_words`
and more. Rules for shorter rows are ours, and each says what it was set by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field

from tunewright.data.background import rare_pairs
from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, map_text, set_aside

_Bound = Annotated[float, Field(ge=0, le=1)] | None
_BULLETS = ("-", "*", "•", "●", "‣", "◦", "–")
_STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_LATIN_WORD = re.compile(r"[a-z]{4,}")
# Gopher's table A1: the most of a text's characters that the most frequent n-gram may cover …
_TOP_NGRAMS = ((2, 0.20), (3, 0.18), (4, 0.16))
# … and that n-grams which occur more than once may cover.
_REPEATED_NGRAMS = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
_LEAST_PAIRS = 12
_FINDINGS = (
    "too_short_to_judge", "few_letters", "capitals", "runs", "gibberish", "wordless", "short_words", "long_words",
    "symbols", "stop_words", "bullet_lines", "ellipsis_lines", "repeated_lines", "repeated_line_characters",
    "repeated_ngrams",
)  # fmt: skip


class Config(ColumnsConfig):
    """Settings of `quality`. A rule set to null is off."""

    # A test set stays what its makers published.
    held_out: ClassVar[bool] = False

    name: Literal["quality"] = "quality"
    least_words: int = Field(50, ge=1, description="Rows with fewer words are not judged by Gopher's rules.")
    least_letter_share: _Bound = Field(
        0.5, description="Share of letters among all characters but white space; ours: tables and logs lie below."
    )
    least_lettered_words: _Bound = Field(0.8, description="Share of words with a letter in them (Gopher: 0.8).")
    least_mean_word: float | None = Field(3, ge=0, description="Letters of the mean word (Gopher: 3).")
    most_mean_word: float | None = Field(10, ge=0, description="Letters of the mean word (Gopher: 10).")
    most_symbols: float | None = Field(0.1, ge=0, description="Hash marks, or ellipses, per word (Gopher: 0.1).")
    most_bullet_lines: _Bound = Field(0.9, description="Share of lines that begin with a bullet (Gopher: 0.9).")
    most_ellipsis_lines: _Bound = Field(0.3, description="Share of lines that end in an ellipsis (Gopher: 0.3).")
    least_stop_words: int | None = Field(
        None, ge=0, description="Different words of the, be, to, of, and, that, have, with (Gopher: 2; English only)."
    )
    most_repeated_lines: _Bound = Field(0.3, description="Share of lines that repeat another (Gopher: 0.3).")
    most_repeated_line_characters: _Bound = Field(0.2, description="Share of characters in those (Gopher: 0.2).")
    ngrams_from: int | None = Field(
        None,
        ge=1,
        description="Bounds on repeated runs of 2 to 10 words (Gopher, table A1), for rows of so many words and more "
        "(Gopher: 50). Off: of GSM8K's 2,409 questions of 50 words and more, all sound, they take 158.",
    )
    most_capitals: _Bound = Field(
        None,
        description="Share of capitals among a row's cased letters, if it has 20 and more (0.8: shouting). Off: of "
        "Banking77's 10,003 questions 0.8 takes ten, all of them sound.",
    )
    longest_run: int | None = Field(
        12, ge=2, description="Longest run of one letter or mark (aaaa, !!!!); ours. Rules of dashes and the like stay."
    )
    most_rare_pairs: _Bound = Field(
        0.15, description="Share of letter pairs that no English word has, in Latin script; ours: keyboard mash."
    )


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Sets aside the rows that break a rule; the reason names all that are broken, each with its number."""
    check_columns(frame, config.columns, config.name)
    texts = frame.select(pl.concat_str(config.columns, separator="\n", ignore_nulls=True)).to_series().fill_null("")
    counts = Counter(dict.fromkeys(_FINDINGS, 0))

    def judge(text: str) -> str | None:
        faults = [*_any_length(text, config), *_by_gopher(text, config, counts)]
        counts.update(rule for rule, _ in faults)
        return "; ".join(told for _, told in faults) or None

    kept, edits, unusable = set_aside(frame, map_text(texts, judge))
    return StepResult(kept, edits, {"rows_set_aside": len(unusable), **counts}, unusable)


def _any_length(text: str, config: Config) -> Iterator[tuple[str, str]]:
    """Broken rules that hold for short rows too: name, and what was found."""
    visible = [char for char in text if not char.isspace()]
    letters = sum(map(str.isalpha, visible))
    if config.least_letter_share is not None and len(visible) >= 10:
        share = letters / len(visible)
        if share < config.least_letter_share:
            yield "few_letters", f"letters make up {share:.0%}"
    if config.most_capitals is not None:
        capitals, small = sum(map(str.isupper, visible)), sum(map(str.islower, visible))
        if capitals + small >= 20 and capitals > config.most_capitals * (capitals + small):
            yield "capitals", f"{capitals / (capitals + small):.0%} of the letters are capitals"
    if config.longest_run is not None and (run := _longest_run(text)) > config.longest_run:
        yield "runs", f"one character {run} times in a row"
    if config.most_rare_pairs is not None and (share := _rare_share(text)) > config.most_rare_pairs:
        yield "gibberish", f"{share:.0%} of the letter pairs occur in no word"


def _longest_run(text: str) -> int:
    # Not lines drawn with dashes, nor the rows of zeros in long numbers.
    runs = re.finditer(r"([^\W\d_]|[!?])\1{2,}", text)
    return max((len(run[0]) for run in runs), default=1)


def _rare_share(text: str) -> float:
    """Share of rare pairs among the letter pairs of words of four letters and more; 0 where there are few."""
    rare, seen, found = rare_pairs(), 0, 0
    for word in _LATIN_WORD.findall(text.lower()):
        seen += len(word) - 1
        found += sum(word[index : index + 2] in rare for index in range(len(word) - 1))
    return found / seen if seen >= _LEAST_PAIRS else 0.0


def _by_gopher(text: str, config: Config, counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Broken rules of Gopher's; rows with too few words are only counted."""
    words = text.split()
    if len(words) < config.least_words:
        counts["too_short_to_judge"] += 1
        return
    yield from _words(text, words, config)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    shares = (
        ("bullet_lines", config.most_bullet_lines, sum(line.startswith(_BULLETS) for line in lines)),
        ("ellipsis_lines", config.most_ellipsis_lines, sum(line.endswith(("...", "…")) for line in lines)),
        ("repeated_lines", config.most_repeated_lines, len(lines) - len(set(lines))),
    )
    for rule, most, count in shares:
        if most is not None and count > most * len(lines):
            yield rule, f"{count / len(lines):.0%} {rule.replace('_', ' ')}"
    if config.most_repeated_line_characters is not None:
        total = sum(map(len, lines))
        again = total - sum(map(len, set(lines)))
        if again > config.most_repeated_line_characters * total:
            yield "repeated_line_characters", f"{again / total:.0%} of the text in repeated lines"
    if config.ngrams_from is not None and len(words) >= config.ngrams_from:
        yield from _repeated_ngrams(words)


def _words(text: str, words: Sequence[str], config: Config) -> Iterator[tuple[str, str]]:
    count = len(words)
    lettered = sum(any(map(str.isalpha, word)) for word in words) / count
    if config.least_lettered_words is not None and lettered < config.least_lettered_words:
        yield "wordless", f"{lettered:.0%} of the words have a letter"
    mean = sum(map(len, words)) / count
    if config.least_mean_word is not None and mean < config.least_mean_word:
        yield "short_words", f"mean word of {mean:.1f} letters"
    if config.most_mean_word is not None and mean > config.most_mean_word:
        yield "long_words", f"mean word of {mean:.1f} letters"
    symbols = max(text.count("#"), text.count("...") + text.count("…")) / count
    if config.most_symbols is not None and symbols > config.most_symbols:
        yield "symbols", f"{symbols:.2f} hash marks or ellipses a word"
    if config.least_stop_words is not None:
        found = len(_STOP_WORDS & {word.lower().strip(".,;:!?\"'()") for word in words})
        if found < config.least_stop_words:
            yield "stop_words", f"{found} of the most common English words"


def _repeated_ngrams(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Shares of characters in repeated runs of words, as in Gopher's table A1; white space does not count."""
    lengths = [len(word) for word in words]
    total = sum(lengths)
    for size, most in _TOP_NGRAMS:
        counts = Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
        top, times = counts.most_common(1)[0] if counts else ((), 0)
        share = times * sum(map(len, top)) / total
        if times > 1 and share > most:
            yield "repeated_ngrams", f"one run of {size} words makes up {min(share, 1):.0%}"
            return
    for size, most in _REPEATED_NGRAMS:
        seen: set[tuple[str, ...]] = set()
        covered = [False] * len(words)
        for at in range(len(words) - size + 1):
            run = tuple(words[at : at + size])
            if run in seen:
                covered[at : at + size] = [True] * size
            seen.add(run)
        share = sum(length for length, again in zip(lengths, covered, strict=True) if again) / total
        if share > most:
            yield "repeated_ngrams", f"repeated runs of {size} words make up {share:.0%}"
            return
