"""What the held-out rows are told apart by: their class, length, language, subject, or any column of theirs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunewright.base.errors import did_you_mean
from tunewright.data.languages import detect
from tunewright.evaluate.confusion import has_few_values
from tunewright.metrics import Answer
from tunewright.metrics._records import canonical, fields_of, read_references

# Rows by which a slice can be told from the rest at all: of fewer, nothing less than a landslide would show.
SMALLEST = 10

OTHERS, NONE = "(others)", "(none)"
_TOO_SHORT, _UNSURE = "(too short to tell)", "(unsure)"
_QUARTERS = ("shortest", "short", "long", "longest")
_QUARTERS_OF_NUMBERS = ("lowest", "low", "high", "highest")
# A text with fewer letters, or a less probable guess, says nothing about its language (as in `data inspect`).
_LETTERS, _SURE = 30, 0.9
_FEW_NUMBERS = 20  # numbers with more values than that are cut into quarters
_FEWEST_TOPICS, _MOST_TOPICS, _ROWS_A_TOPIC = 2, 12, 30
_NAMING_WORDS = 3

Embed = Callable[[Sequence[str]], Any]


@dataclass(frozen=True)
class Cut:
    """One way to tell rows apart.

    Args:
        by: Its name: a built-in one, a column, or `answer.FIELD` for the class by a field of JSON answers.
        values: Each row's, in their order.
        shown: What a value stands for, where it does not say so itself: `shortest` is `1 to 41 characters`.
        is_class: Whether the values are the right answers, and small ones are kept apart.
    """

    by: str
    values: tuple[str, ...]
    shown: Mapping[str, str] = field(default_factory=dict)
    is_class: bool = False


@dataclass(frozen=True)
class Cuts:
    """The cuts that could be made, and sentences about those that could not."""

    cuts: tuple[Cut, ...]
    notes: tuple[str, ...]


BUILT_IN = ("class", "question_length", "answer_length", "language", "topic")


def cut_rows(
    rows: Sequence[Answer], by: Sequence[str], *, answer_kind: str, seed: int, embed: Embed | None = None
) -> Cuts:
    """Tells rows apart.

    Args:
        rows: Any system's answers, for their references, questions and columns; at least one.
        by: Built-in names (`BUILT_IN`) and columns. `class` is the right label; of JSON answers each field with few
            values makes a cut of its own, called `answer.FIELD`. Lengths are quarters, counted in characters.
        answer_kind: What an answer is.
        seed: Draws where the search for topics begins.
        embed: Gives texts' unit vectors, shape (n, width), for `topic`.

    Returns:
        A cut that does not part the rows is left out.
    """
    made: list[Cut] = []
    notes: list[str] = []
    for name in dict.fromkeys(by):
        found = _cut(rows, name, answer_kind, seed, embed)
        if isinstance(found, str):
            notes.append(found)
        else:
            made += [_merged(cut) for cut in found]
    return Cuts(tuple(cut for cut in made if len(set(cut.values)) > 1), tuple(note for note in notes if note))


def unknown_cuts(by: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Names under `evaluate.slices` that rows with these columns cannot be told apart by, each with a hint."""
    # Rows of one file have no column that says so, and `source` is among the defaults.
    known = [*BUILT_IN, "source", *columns]
    return {
        name: f"{did_you_mean(name, known)}Known: {', '.join(dict.fromkeys(known))}."
        for name in by
        if name not in known
    }


def _cut(rows: Sequence[Answer], name: str, answer_kind: str, seed: int, embed: Embed | None) -> list[Cut] | str:
    """What a name stands for; a sentence (or none) where rows cannot be told apart by it."""
    if name == "class":
        return _classes(rows, answer_kind)
    if name == "answer_length":
        lengths = [float(len(row.reference)) for row in rows]
        return [_quarters(name, lengths, _QUARTERS, "characters")]
    if name not in BUILT_IN:
        return _column(rows, name)
    questions = [row.question for row in rows]
    if not any(questions):
        return f"The answers were stored without their questions, so there is no {name.replace('_', ' ')}."
    if name == "question_length":
        return [_quarters(name, [float(len(question)) for question in questions], _QUARTERS, "characters")]
    if name == "language":
        return [Cut(name, tuple(_language(question) for question in questions))]
    if embed is None:
        return "Topics need the embedded text encoder: tunewright models pull embedded."
    return [_topics(questions, embed, seed)]


def _classes(rows: Sequence[Answer], answer_kind: str) -> list[Cut]:
    if answer_kind == "json":
        references = read_references(rows, where="evaluate.slices")
        cuts = []
        for name in fields_of(references):
            values = [
                (value if isinstance(value, str) else canonical(value))
                if (value := record.get(name)) is not None
                else NONE
                for record in references
            ]
            if has_few_values(values):
                cuts.append(Cut(f"answer.{name}", tuple(values), is_class=True))
        return cuts
    labels = [row.reference.strip() for row in rows]
    if answer_kind == "label" or (answer_kind == "text" and has_few_values(labels)):
        return [Cut("class", tuple(labels), is_class=True)]
    return []


def _column(rows: Sequence[Answer], name: str) -> list[Cut] | str:
    if not any(name in row.columns for row in rows):
        if name == "source":
            return ""
        known = dict.fromkeys(column for row in rows for column in row.columns)
        return f"No row has a column '{name}'. {unknown_cuts([name], list(known))[name]}"
    values = [row.columns.get(name, "").strip() or NONE for row in rows]
    distinct = set(values)
    if len(distinct) > _FEW_NUMBERS and (numbers := _numbers(values)) is not None:
        return [_quarters(name, numbers, _QUARTERS_OF_NUMBERS, "")]
    if max(Counter(values).values()) < SMALLEST:
        return f"No value of '{name}' is met {SMALLEST} times: there is nothing to tell rows apart by."
    return [Cut(name, tuple(values))]


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _quarters(by: str, numbers: Sequence[float], names: Sequence[str], unit: str) -> Cut:
    """Four parts of about equally many rows; equal numbers stay together."""
    found = np.asarray(numbers)
    places = np.searchsorted(np.quantile(found, [0.25, 0.5, 0.75], method="lower"), found, side="left")
    shown = {}
    for place in np.unique(places):
        low, high = found[places == place].min(), found[places == place].max()
        shown[names[place]] = f"{low:,g} to {high:,g} {unit}".strip()
    return Cut(by, tuple(names[place] for place in places), shown)


def _language(text: str) -> str:
    if sum(map(str.isalpha, text)) < _LETTERS:
        return _TOO_SHORT
    language, probability = detect(text)
    return language if probability >= _SURE else _UNSURE


def _topics(questions: Sequence[str], embed: Embed, seed: int) -> Cut:
    from tunewright.data.meaning.clusters import subjects

    count = min(max(_FEWEST_TOPICS, len(questions) // _ROWS_A_TOPIC), _MOST_TOPICS, len(questions))
    numbers = subjects(embed(questions), count, seed=seed)
    names = _names_of_topics(questions, numbers)
    return Cut("topic", tuple(names[number] for number in numbers.tolist()))


def _names_of_topics(questions: Sequence[str], numbers: Any) -> dict[int, str]:
    """Each topic by the words that more of its questions than of the others have."""
    words = [set(re.findall(r"\w{3,}", question.lower())) for question in questions]
    every = Counter(word for each in words for word in each)
    names: dict[int, str] = {}
    for number in sorted(set(numbers.tolist())):
        inside = [each for each, own in zip(words, numbers, strict=True) if own == number]
        counts = Counter(word for each in inside for word in each)
        outside = max(1, len(words) - len(inside))
        ahead = {word: n / len(inside) - (every[word] - n) / outside for word, n in counts.items()}
        told = sorted(ahead, key=lambda word: (-ahead[word], word))[:_NAMING_WORDS]
        name = ", ".join(told) or "(no words)"
        names[number] = name if name not in names.values() else f"{name} ({number + 1})"
    return names


def _merged(cut: Cut) -> Cut:
    """Values of few rows as one, but for classes: each of those is somebody's."""
    if cut.is_class:
        return cut
    counts = Counter(cut.values)
    small = {value for value, n in counts.items() if n < SMALLEST and not value.startswith("(")}
    if len(small) < 2:
        return cut
    shown = {**cut.shown, OTHERS: f"{len(small):,} values of fewer than {SMALLEST} rows each"}
    return Cut(cut.by, tuple(OTHERS if value in small else value for value in cut.values), shown)
