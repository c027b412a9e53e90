"""Writes a domain's terms one way: a glossary's variants become the preferred form, outside of code and URLs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.base.errors import DataError
from tunewright.data.background import word_counts
from tunewright.data.folding import fold
from tunewright.data.frame import ColumnsConfig, StepResult, change_columns, check_columns
from tunewright.data.glossary import Term, confirmed_terms
from tunewright.data.protected import outside, substitute
from tunewright.recipe.schema import DataPath

_ROUNDS = 10
_WORD = re.compile(r"\w+")


class Config(ColumnsConfig):
    """Settings of `glossary`."""

    name: Literal["glossary"] = "glossary"
    file: DataPath = Field("", description="The glossary: YAML, `Term: [variant, …]`. Only confirmed terms are used.")

    @model_validator(mode="after")
    def _file_is_named(self) -> Self:
        if not self.file:
            raise ValueError("glossary needs 'file', a glossary; tunewright data glossary PATH writes one")
        return self


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Every variant outside of code, URLs, e-mail addresses and placeholders in its term's form.

    Raises:
        DataError: If the glossary cannot be read, or sends a text round in circles.
    """
    check_columns(frame, config.columns, config.name)
    terms = confirmed_terms(config.file)
    if not terms:
        raise DataError(
            "No term of this glossary is confirmed, so it would do nothing",
            where=config.file,
            hint="Set confirmed: true on the terms that are right.",
        )

    def write(text: str) -> str:
        return preferred(text, terms, where=config.file)

    frame, log = change_columns(frame, config.columns, write, "glossary")
    return StepResult(frame, log, {"cells_changed": log.height})


def preferred(text: str, terms: tuple[Term, ...], *, where: str) -> str:
    """A text with each term in its preferred form.

    Raises:
        DataError: If the terms send it round in circles.
    """
    pattern, forms, beginnings = _compiled(terms)
    if "" not in beginnings and beginnings.isdisjoint(_WORD.findall(fold(text))):
        return text
    for _ in range(_ROUNDS):
        before, text = text, substitute(pattern, lambda match: _write(match[0], forms), text)
        if text == before:
            return text
    raise DataError(
        f"The terms of this glossary make each other's variants, without end: {text[:80]!r}",
        where=where,
        hint="Take the variants out that contain another term.",
    )


def _write(found: str, forms: dict[str, str]) -> str:
    """The preferred form of what was found, with the capitals that its place asks for."""
    # A dotless i and its like match in any case, and are other letters.
    form = forms.get(fold(found), found)
    if found == form or not form.islower():
        return form
    if found.isupper() and len(found) > 1:
        return form.upper()
    return form[0].upper() + form[1:] if found[0].isupper() else form


@lru_cache(maxsize=8)
def _compiled(terms: tuple[Term, ...]) -> tuple[re.Pattern[str], dict[str, str], frozenset[str]]:
    """A pattern for every form, the longest first; the preferred form of each, by its folded writing; what they hold.

    The last are first words of forms, folded: a text without any of them has none of the terms. Empty
    for a form that has no word, as `++`.
    """
    forms = {fold(form): term.form for term in terms for form in (term.form, *term.variants)}
    written = sorted(
        {form for term in terms for form in (term.form, *term.variants)}, key=lambda form: (-len(form), form)
    )
    ways = (_way(form) for form in written)
    beginnings = frozenset(next(iter(_WORD.findall(form)), "") for form in forms)
    return outside(rf"(?<!\w)(?:{'|'.join(ways)})(?!\w)"), forms, beginnings


def _way(form: str) -> str:
    """A form as a pattern: in any case, unless in small letters it is an ordinary word (`US` is not `us`)."""
    pattern = r"[ \u00a0]+".join(re.escape(part) for part in form.split())
    return pattern if form != form.lower() and form.lower() in word_counts() else f"(?i:{pattern})"
