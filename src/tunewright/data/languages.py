"""Which language a text is in: py3langid, a naive Bayes model over byte n-grams (Lui and Baldwin, 2012), offline."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def known_languages() -> frozenset[str]:
    """The languages that can be told apart, by ISO 639-1 code where there is one."""
    return frozenset(_identifier().labels)


def detect(text: str) -> tuple[str, float]:
    """A text's language and how probable it is, from 0 to 1. Below some 30 letters the answer means little."""
    language, probability = _identifier().classify(text)
    return str(language), float(probability)
