"""People's names as a model finds them, behind Microsoft's Presidio: slower than the rules, for texts unlike letters.

The model is a spaCy pipeline that the user has installed; nothing is downloaded.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from tunewright.base.errors import InputError, MissingExtraError
from tunewright.data.personal.spans import Finder, Span

# Presidio's confidence from which it calls something a person; its own rules give 0.85 to what the model says.
_LEAST_SCORE = 0.5


def presidio_names(model: str) -> Finder:
    """A finder of people's names with a spaCy model, "en_core_web_lg", whose first letters are its language.

    Raises:
        MissingExtraError: If Presidio is not installed.
        InputError: If the model is not.
    """
    analyzer = _analyzer(model)

    def find(text: str, region: str | None) -> list[Span]:
        found = analyzer.analyze(text, language=model[:2], entities=["PERSON"], score_threshold=_LEAST_SCORE)
        spans: list[Span] = []
        for start, end in sorted((result.start, result.end) for result in found):
            if not spans or start >= spans[-1][1]:
                spans.append((start, end))
        # What stands in brackets and capitals is a tag, whatever the model thinks of it.
        return [(start, end) for start, end in spans if text[start - 1 : start] != "[" and "[" not in text[start:end]]

    return find


@cache
def _analyzer(model: str) -> Any:
    try:
        presidio, engines = (importlib.import_module(f"presidio_analyzer{part}") for part in ("", ".nlp_engine"))
        spacy = importlib.import_module("spacy")
    except ImportError:
        raise MissingExtraError(
            "presidio-analyzer", extra="presidio", needed_for="redact with engine: presidio"
        ) from None
    # Presidio would download what is missing.
    if not spacy.util.is_package(model):
        raise InputError(
            f"The spaCy model '{model}' is not installed",
            where="step redact",
            hint=f"Install it with: python -m spacy download {model}; or name another one (model).",
        )
    settings = {"nlp_engine_name": "spacy", "models": [{"lang_code": model[:2], "model_name": model}]}
    engine = engines.NlpEngineProvider(nlp_configuration=settings).create_engine()
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=[model[:2]])
