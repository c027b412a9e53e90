"""Mines the terms of a domain from its texts, for a person to confirm: `tunewright data glossary`.

A word is a candidate if the English background dictionary lacks it, or if it is far more common here than there, by
Dunning's log-likelihood ratio ("Accurate methods for the statistics of surprise and coincidence", 1993). Two words are
one term if they stand together far more often than apart, by normalised pointwise mutual information (Bouma, 2009).
Forms that differ in case, hyphens and spaces only are one term's; so is a rare misspelling of one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.files import write_text
from tunewright.data.background import word_counts
from tunewright.data.collect import collect
from tunewright.data.folding import fold
from tunewright.data.protected import matches, outside
from tunewright.data.readers import read_rows
from tunewright.data.rows import Fault
from tunewright.recipe import load_recipe
from tunewright.recipe.schema import Source
from tunewright.store import Workspace

_TOKEN = outside(r"[^\W_][\w+#]*(?:[-'’&][^\W_][\w+#]*)*")
_SENTENCE_END = re.compile(r"(?:\A|[.!?…:\n])[\s\"'“”‘’(\[*•-]*\Z")
_JOINTS = re.compile(r"[\s\-_'’&.]+")
_BEFORE = 8
_SURPRISING = 10.83  # the ratio's 0.1 % point: chi-square with one degree of freedom
_TIMES = 10  # how many times as common as in the background
_TOGETHER = 0.5  # normalised mutual information, from -1 to 1
_ORDINARY = 150  # so many of the most common words are no terms, and no part of one
_MOST_COUNTED = 1_000_000
_TOLD_ROWS = 5_000
_LONG = 7  # letters from which on a rare neighbour at distance 1 is a misspelling
_RARE = 10  # how many times as common a term is as its misspelling


@dataclass(frozen=True, slots=True)
class Candidate:
    """A term that may be one.

    Args:
        form: Its most common form.
        variants: Other forms found, and how often.
        count: How often all forms were found.
        score: How surprising it is; higher is more.
    """

    form: str
    variants: dict[str, int]
    count: int
    score: float

    def as_json(self) -> dict[str, Any]:
        """The candidate as `--json` prints it."""
        return {"term": self.form, "variants": self.variants, "count": self.count, "score": round(self.score, 1)}


@dataclass(frozen=True, slots=True)
class Mined:
    """What was mined: the candidates, the most surprising first; the rows read; and whether rare words were let go.

    Args:
        candidates: The terms.
        rows: Rows read.
        unreadable: Rows that could not be read.
        pruned: Whether there were so many different words that those seen once were forgotten on the way.
    """

    candidates: tuple[Candidate, ...]
    rows: int
    unreadable: int
    pruned: bool


class _Counts:
    """How often words and pairs of words were seen; what was seen once is forgotten when there are too many."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        self.first: Counter[str] = Counter()  # of those, at the beginning of a sentence, with a capital
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.pruned = False

    def add(self, text: str) -> None:
        """Counts a text."""
        tokens = list(matches(_TOKEN, text))
        for match in tokens:
            if any(map(str.isalpha, match[0])):
                self.words[match[0]] += 1
                if match[0][0].isupper() and _SENTENCE_END.search(
                    text[max(0, match.start() - _BEFORE) : match.start()]
                ):
                    self.first[match[0]] += 1
        for one, other in pairwise(tokens):
            if text[one.end() : other.start()] == " ":
                self.pairs[one[0], other[0]] += 1
        for counts in (self.words, self.pairs):
            if len(counts) > _MOST_COUNTED:
                self.pruned = True
                for key in [key for key, count in counts.items() if count == 1]:
                    del counts[key]


def mine_file(
    path: Path, *, least: int = 5, most: int = 200, workspace: Path | None = None, listener: Listener = ignore
) -> Mined:
    """The candidate terms of a data file's texts, or of the training rows of a recipe.

    Every text of two words and more counts, wherever it stands in a row.

    Args:
        path: A data file, or a recipe (`.yaml`, `.yml`).
        least: How often a term must be found.
        most: How many terms to give, the most surprising.
        workspace: Where a recipe's sources are kept that lie elsewhere; by default the one found upward.
        listener: Is told how many rows were read.

    Raises:
        DataError: If the file cannot be read, or holds no text.
    """
    sources = _sources(path, workspace, listener)
    counts, rows, unreadable = _Counts(), 0, 0
    listener(Stage("glossary", "started"))
    for row in chain.from_iterable(read_rows(source) for source in sources):
        rows += 1
        if isinstance(row, Fault):
            unreadable += 1
            continue
        for text in _texts(row.values):
            counts.add(text)
        if rows % _TOLD_ROWS == 0:
            listener(Stage("glossary", "progress", done=rows, unit="rows", note="reading"))
    if not counts.words:
        raise DataError("There is no text of two words or more in here", where=str(path))
    found = tuple(_mine(counts, least))[:most]
    listener(Stage("glossary", "finished", done=rows, unit="rows"))
    return Mined(found, rows, unreadable, counts.pruned)


def _sources(path: Path, workspace: Path | None, listener: Listener) -> tuple[Source, ...]:
    if path.suffix.lower() not in (".yaml", ".yml"):
        return (Source(path=str(path.absolute())),)
    recipe = load_recipe(path)
    if any(source.is_elsewhere for source in recipe.data.train):
        recipe = collect(recipe, cache=Workspace.open(workspace).cache, listener=listener)
    return recipe.data.train


def _texts(value: Any) -> Iterator[str]:
    """The texts of two words and more among a row's values."""
    if isinstance(value, str):
        if " " in value.strip():
            yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_texts, value))


def _mine(counts: _Counts, least: int) -> list[Candidate]:
    """The candidates, the most surprising first."""
    forms = _without_sentence_capitals(counts)
    groups: dict[str, Counter[str]] = {}
    for form, count in forms.items():
        groups.setdefault(squash(form), Counter())[form] += count
    scores = {key: _surprise(key, sum(group.values()), forms.total()) for key, group in groups.items()}
    _add_pairs(counts, groups, scores, least, forms.total())
    _add_misspellings(groups, scores, least)
    found = [
        candidate
        for key, group in groups.items()
        if key in scores and group.total() >= least and scores[key] > _SURPRISING and len(key) > 1
        if _is_of_use(candidate := _candidate(group, scores[key]))
    ]
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.form))


def _candidate(group: Counter[str], score: float) -> Candidate:
    (form, _), *others = _by_count(group)
    # Of a form in small letters capitals are no variant: a sentence's beginning, a title, or shouting.
    variants: dict[str, int] = {}
    seen = {fold(form): form} if form.islower() else {}
    for other, count in others:
        kept = seen.setdefault(fold(other), other)
        if kept != form:
            variants[kept] = variants.get(kept, 0) + count
    return Candidate(form, variants, group.total(), score)


def _is_of_use(candidate: Candidate) -> bool:
    """Whether there is anything to protect or to unify: a word of the dictionary that is spelt one way is fine."""
    form = candidate.form
    return "'" not in form and "’" not in form and (bool(candidate.variants) or fold(form) not in word_counts())


def squash(form: str) -> str:
    """What the forms of one term have in common: `E-Mail`, `email` and `e mail` are one."""
    return _JOINTS.sub("", fold(form))


def _by_count(group: Counter[str]) -> list[tuple[str, int]]:
    return sorted(group.items(), key=lambda pair: (-pair[1], pair[0]))


def _without_sentence_capitals(counts: _Counts) -> Counter[str]:
    """Counts of forms, in which a capital that only a sentence's beginning asked for is none."""
    forms: Counter[str] = Counter()
    for form, count in counts.words.items():
        first, small = counts.first[form], form[0].lower() + form[1:]
        # Also capitalised elsewhere: then it is a name, and the beginning shows nothing.
        moved = first if first == count or counts.words[small] > count - first else 0
        forms[small] += moved
        forms[form] += count - moved
    return +forms


def _surprise(key: str, count: int, total: int) -> float:
    """Dunning's log-likelihood ratio of a word against the background; 0 where it is not far more common here."""
    background = word_counts()
    there, everything = background.get(key, 0), sum_of_background()
    if key in _ordinary() or (there and count / total < _TIMES * there / everything):
        return 0.0
    pooled = (count + there) / (total + everything)
    ratio = count * math.log(count / (total * pooled))
    return 2 * (ratio + (there * math.log(there / (everything * pooled)) if there else 0.0))


@cache
def _ordinary() -> frozenset[str]:
    """The most common English words."""
    counts = word_counts()
    return frozenset(sorted(counts, key=lambda word: -counts[word])[:_ORDINARY])


@cache
def sum_of_background() -> int:
    """Running words behind the background dictionary."""
    return sum(word_counts().values())


def _add_pairs(
    counts: _Counts, groups: dict[str, Counter[str]], scores: dict[str, float], least: int, total: int
) -> None:
    """Terms of two words; a pair that another writes as one word (`charge back`) becomes a form of that."""
    ordinary = _ordinary()
    singles: Counter[str] = Counter()
    for word, count in counts.words.items():
        singles[fold(word)] += count
    pairs: dict[tuple[str, str], Counter[str]] = {}
    for (one, other), count in counts.pairs.items():
        pairs.setdefault((fold(one), fold(other)), Counter())[f"{one} {other}"] += count
    for (one, other), forms in pairs.items():
        key, count = squash(f"{one} {other}"), forms.total()
        if key in groups and squash(one) != key != squash(other):
            groups[key].update(forms)
        elif count >= least and not {one, other} & ordinary and not one.isdigit() and not other.isdigit():
            together = math.log(count * total / (singles[one] * singles[other])) / -math.log(count / total)
            if together >= _TOGETHER:
                groups[key] = Counter(forms)
                scores[key] = 2 * count * math.log(count * total / (singles[one] * singles[other]))


def _add_misspellings(groups: dict[str, Counter[str]], scores: dict[str, float], least: int) -> None:
    """Moves rare forms that no dictionary has to the common term one letter away."""
    from symspellpy import SymSpell, Verbosity

    index = SymSpell(max_dictionary_edit_distance=1, prefix_length=7)
    known = word_counts()
    for key, group in groups.items():
        if len(key) >= _LONG and group.total() >= max(least, _RARE) and scores.get(key, 0) > _SURPRISING:
            index.create_dictionary_entry(key, group.total())
    for key in sorted(groups):
        is_plural = key.endswith("s") and key[:-1] in groups
        if len(key) < _LONG or key in known or key + "s" in groups or is_plural:
            continue
        near = [each for each in index.lookup(key, Verbosity.ALL, max_edit_distance=1) if each.term != key]
        if len(near) == 1 and near[0].count >= _RARE * groups[key].total():
            groups[near[0].term].update(groups.pop(key))


def glossary_text(mined: Mined, source: str) -> str:
    """The candidates as a glossary file, none confirmed."""
    import yaml

    terms = {
        each.form: {"variants": each.variants, "count": each.count, "confirmed": False} for each in mined.candidates
    }
    head = (
        f"# Terms that {source} may have. Take out what is none, put the form you prefer before the colon and the\n"
        "# others under variants, and set confirmed to true: only then do the steps `glossary` and `spelling` use it.\n"
    )
    return head + yaml.safe_dump(terms, allow_unicode=True, sort_keys=False, width=110)


def write_glossary(
    path: Path, output: Path, *, least: int, most: int, workspace: Path | None = None, listener: Listener = ignore
) -> Mined:
    """Mines a file's terms (`mine_file`) and writes them to a new glossary file.

    Raises:
        DataError: If the output is there already: a person's confirmations may stand in it.
    """
    if output.exists():
        raise DataError(
            "This file is there already, and may hold terms that you have confirmed",
            where=str(output),
            hint="Name another with --output, or remove it.",
        )
    mined = mine_file(path, least=least, most=most, workspace=workspace, listener=listener)
    write_text(output, glossary_text(mined, path.name))
    return mined
