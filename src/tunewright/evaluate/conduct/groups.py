"""Texts told of another group of people: who is named in them, and the same text with two groups in each other's place.

Only whole words outside of code, addresses and placeholders; case is kept, and "a" becomes "an" where it must. The
lists (`groups.yaml`) are English. What else in a text says who is meant stays as it is.
"""

# ruff: noqa: SIM905 (long lists of words read better as a text)
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from tunewright.data.near import words_of
from tunewright.data.personal.lexicon import Known, fold_word, known
from tunewright.data.protected import matches, outside, substitute
from tunewright.data.words import like
from tunewright.evaluate.conduct.packaged import packaged

_GENDER, _ORIGIN = "gender", "origin"
_VOWEL = re.compile(r"(?i)(?!eu|uni|one\b|us)[aeiou]|(?i:hour|honest|heir)")
# What stands behind "her" and "his" where they are no article of a noun.
_NO_NOUN = frozenset(
    "a about after again all and any around as at away back because before behind but by down during for from here if "
    "in into is it just like next now of off on onto or out over said says since so than that the then there this to "
    "today tomorrow tonight too until up was were when where which while who why will with would yesterday".split()
)
_NEXT = re.compile(r"[ \u00a0]+([^\W\d_]+)")
_LOOK_AHEAD = 40

_Names = Mapping[str, Sequence[str]]  # of women and of men
_WORD = re.compile(r"\w+")
_CAPITAL = re.compile(r"\b[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+")


@dataclass(frozen=True)
class Axis:
    """Groups that a text can be told of in each other's place.

    Args:
        name: What sets them apart, such as `gender`.
        groups: What they are called.
        forms: Rows with one form for each group.
        exact: Forms whose capital counts: first names.
    """

    name: str
    groups: tuple[str, ...]
    forms: tuple[tuple[str, ...], ...]
    exact: frozenset[str] = frozenset()

    def named(self, text: str) -> list[str]:
        """The groups that a text names, in the axis's order; none by a form that several groups share."""
        # Most texts name nobody, and a look at their words is quicker than the pattern.
        if self._openings.isdisjoint(_WORD.findall(text.lower())):
            return []
        found = set()
        for match in matches(self._pattern, text):
            groups = self._groups_of[_key(match["term"], self.exact)]
            found |= groups if len(groups) == 1 else set()
        return [group for group in self.groups if group in found]

    def unlisted(self, text: str) -> bool:
        """Whether a swap of men and women would leave a first name behind that is in no list here: half a swap."""
        if self.name != _GENDER:
            return False
        capitals = {match[0] for match in _CAPITAL.finditer(text)}
        return any(known(fold_word(word)) is Known.GIVEN for word in capitals - self.exact)

    def swapped(self, text: str, first: str, second: str) -> str:
        """The text with two groups in each other's place."""
        one, other = self.groups.index(first), self.groups.index(second)
        forward: dict[str, str] = {}
        for row in self.forms:
            for here, there in ((one, other), (other, one)):
                forward.setdefault(_key(row[here], self.exact), row[there])

        def change(match: re.Match[str]) -> str:
            term = match["term"]
            new = forward.get(_key(term, self.exact))
            if self.name == _GENDER and term.lower() in ("her", "his"):
                new = _pronoun(term.lower(), text[match.end() : match.end() + _LOOK_AHEAD])
            if new is None:
                return match[0]
            return _article(match["article"] or "", new) + _written(new, term)

        return substitute(self._pattern, change, text)

    def neutral(self, text: str) -> str:
        """The text reduced to words, with every form of a row as one: equal where only the groups differ."""

        def change(match: re.Match[str]) -> str:
            article = "a " if match["article"] else ""
            return f"{article}axis{self._row_of[_key(match['term'], self.exact)]}form"

        return words_of(self._everywhere.sub(change, text))

    @cached_property
    def _row_of(self) -> dict[str, int]:
        """Each form's row; rows that share a form are one."""
        found: dict[str, int] = {}
        for number, row in enumerate(self.forms):
            keys = [_key(form, self.exact) for form in row]
            known = next((found[key] for key in keys if key in found), number)
            for key in keys:
                found.setdefault(key, known)
        return found

    @cached_property
    def _groups_of(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in self.forms:
            for group, form in zip(self.groups, row, strict=True):
                found.setdefault(_key(form, self.exact), set()).add(group)
        return found

    @cached_property
    def _openings(self) -> frozenset[str]:
        """The first word of each form."""
        return frozenset(_WORD.findall(form.lower())[0] for row in self.forms for form in row)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return outside(self._terms)

    @cached_property
    def _everywhere(self) -> re.Pattern[str]:
        return re.compile(self._terms)

    @property
    def _terms(self) -> str:
        forms = sorted({form for row in self.forms for form in row}, key=lambda form: (-len(form), form))
        ways = [re.escape(form) if form in self.exact else f"(?i:{re.escape(form)})" for form in forms]
        return rf"(?<![\w'’-])(?P<article>[Aa]n? )?(?P<term>{'|'.join(ways)})(?![\w-])"


@cache
def packaged_axes() -> tuple[Axis, ...]:
    """The axes that come with tunewright."""
    lists = packaged("groups")
    people, names, usual = lists["people"], lists["names"], lists["usual"]
    axes = [
        _axis(name, each, people, _pairs_of_names([*names.values(), usual]) if name == _GENDER else ())
        for name, each in lists.items()
        if name not in ("people", "names", "usual")
    ]
    return (*axes, _origin(names, usual))


def axis_of(name: str, groups: Mapping[str, Sequence[str]]) -> Axis:
    """An axis of one's own: each group with its forms, in the same order.

    Raises:
        ValueError: If there are fewer than two groups, or they have unequally many forms, or none.
    """
    if len(groups) < 2:
        raise ValueError(f"'{name}' needs two groups or more")
    sizes = {group: len(forms) for group, forms in groups.items()}
    if len(set(sizes.values())) > 1 or not all(sizes.values()):
        told = ", ".join(f"{group} has {size}" for group, size in sizes.items())
        raise ValueError(f"the groups of '{name}' need equally many forms, one beside the other ({told})")
    return Axis(name, tuple(groups), tuple(zip(*groups.values(), strict=True)))


def _axis(name: str, told: Mapping[str, Any], people: Sequence[str], names: Sequence[tuple[str, str]]) -> Axis:
    rows = [tuple(row) for row in told.get("forms", ())]
    rows += [tuple(f"{adjective} {noun}" for adjective in told.get("of_people", ())) for noun in people]
    exact = frozenset(each for pair in names for each in pair)
    return Axis(name, tuple(told["groups"]), tuple(row for row in (*rows, *names) if row), exact)


def _origin(names: Mapping[str, _Names], usual: _Names) -> Axis:
    """First names by origin: rows of the women's and of the men's, and the further ones beside those again."""
    rows: list[tuple[str, ...]] = []
    for side in ("women", "men"):
        own = list(zip(*(each[side] for each in names.values()), strict=True))
        rows += own + [(name, *own[place % len(own)][1:]) for place, name in enumerate(usual[side])]
    return Axis(_ORIGIN, tuple(names), tuple(rows), frozenset(name for row in rows for name in row))


def _pairs_of_names(names: Sequence[_Names]) -> list[tuple[str, str]]:
    return [pair for each in names for pair in zip(each["women"], each["men"], strict=True)]


def _key(form: str, exact: frozenset[str]) -> str:
    return form if form in exact else form.lower()


def _pronoun(word: str, behind: str) -> str:
    """What "her" or "his" becomes: in front of a noun they stand for each other."""
    follows = _NEXT.match(behind)
    noun = follows is not None and follows[1].lower() not in _NO_NOUN
    if word == "her":
        return "his" if noun else "him"
    return "her" if noun else "hers"


def _article(article: str, term: str) -> str:
    """The article in front of a form that took another's place."""
    if not article:
        return ""
    return f"{article[0]}{'n' if _VOWEL.match(term) else ''} "


def _written(term: str, model: str) -> str:
    """A form with capitals as the one that it replaces."""
    if model.isupper() and len(model) > 1:
        return term.upper()
    return like(term, model) if model[:1].isupper() else f"{term[:1].lower()}{term[1:]}"
