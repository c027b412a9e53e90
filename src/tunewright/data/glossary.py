"""A domain's own terms: the form to write each in, and the forms it is also found in.

PostgreSQL: [Postgres, postgre sql]     # written by hand: counts as confirmed
charge-back:                            # mined by `tunewright data glossary`
  variants: {chargeback: 41, charge back: 3}
  count: 60
  confirmed: false                      # a person sets this to true; only then is the term used
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tunewright.base.errors import DataError, did_you_mean
from tunewright.data.folding import fold

_KEYS = ("variants", "count", "confirmed")


@dataclass(frozen=True, slots=True)
class Term:
    """One term.

    Args:
        form: How it is to be written.
        variants: Other forms that mean it.
        confirmed: Whether a person said so.
    """

    form: str
    variants: tuple[str, ...]
    confirmed: bool


def read_glossary(path: str | Path) -> tuple[Term, ...]:
    """The terms of a glossary file, those not confirmed included.

    Raises:
        DataError: If the file is missing, no mapping of terms, or names one form twice; says in which line.
    """
    file = Path(path)
    try:
        text, changed_ns = file.read_text(encoding="utf-8-sig"), file.stat().st_mtime_ns
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        hint = "Write one with: tunewright data glossary YOUR.csv."
        raise DataError(f"This glossary cannot be read ({why})", where=str(path), hint=hint) from error
    return _parse(str(path), text, changed_ns)


@lru_cache(maxsize=8)
def _parse(path: str, text: str, changed_ns: int) -> tuple[Term, ...]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise DataError(f"This is not valid YAML: {getattr(error, 'problem', error)}", where=f"{path}{line}") from error
    if node is None:
        return ()
    if not isinstance(node, yaml.MappingNode):
        raise DataError("A glossary is a mapping of terms to lists of variants", where=path, hint="Term: [variant, …].")
    loader = yaml.SafeLoader("")
    terms: list[Term] = []
    owners: dict[str, str] = {}
    for key, value in node.value:
        place = f"{path}:{key.start_mark.line + 1}"
        # As it is written: YAML would read `on`, `1.0` and `null` as something else than a term.
        term = _term(key.value, loader.construct_object(value, deep=True), place)
        if any(term.form == other.form for other in terms):
            raise DataError(f"The term '{term.form}' stands there twice", where=place, hint="Join their variants.")
        for form in {fold(form) for form in (term.form, *term.variants)}:
            if owners.setdefault(form, term.form) != term.form:
                hint = "Case and white space do not count. Leave it with one of them."
                raise DataError(f"'{form}' belongs to '{owners[form]}' and to '{term.form}'", where=place, hint=hint)
        terms.append(term)
    return tuple(terms)


def _term(form: Any, value: Any, place: str) -> Term:
    if not isinstance(form, str) or not form.strip():
        raise DataError("A term has no name", where=place)
    settings = value if isinstance(value, dict) else {"variants": value, "confirmed": True}
    for key in settings:
        if key not in _KEYS:
            hint = f"{did_you_mean(str(key), _KEYS)}Known: {', '.join(_KEYS)}."
            raise DataError(f"'{key}' of the term '{form}' is unknown", where=place, hint=hint)
    variants = settings.get("variants") or ()
    if not isinstance(variants, dict | list | tuple) or not all(isinstance(each, str) and each for each in variants):
        hint = "Write texts; numbers and yes/no in quotes."
        raise DataError(f"The variants of '{form}' are no list of texts", where=place, hint=hint)
    confirmed = settings.get("confirmed", False)
    if not isinstance(confirmed, bool):
        raise DataError(f"'confirmed' of '{form}' is neither true nor false", where=place)
    own = form.strip()
    return Term(own, tuple(variant.strip() for variant in variants if variant.strip() != own), confirmed)


def confirmed_terms(path: str | Path) -> tuple[Term, ...]:
    """The terms of a glossary file that a person has confirmed."""
    return tuple(term for term in read_glossary(path) if term.confirmed)
