"""People's names as a model finds them, behind Microsoft's Presidio: slower than the rules, for texts unlike letters.

The model is a spaCy pipeline that the user has installed; nothing is downloaded.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

from tunewright.base.errors import InputError, MissingExtraError
from tunewright.data.personal.spans import Finder, Span

# Presidio's confidence from which it calls something a person; its own rules give 0.85 to what the model says.
_LEAST_SCORE = 0.5
_TAG = re.compile(r"\[[A-Z_]+\]")


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
        # A tag is no name, whatever the model thinks of it.
        tags = [match.span() for match in _TAG.finditer(text)]
        return [span for span in spans if not any(span[0] < end and start < span[1] for start, end in tags)]

    return find


@cache
def _analyzer(model: str) -> Any:
    try:
        presidio, engines, recognizers = (
            importlib.import_module(f"presidio_analyzer{part}")
            for part in ("", ".nlp_engine", ".predefined_recognizers")
        )
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
    # Only what reads the model's entities: others would look up lists on the network.
    reader = recognizers.SpacyRecognizer(supported_language=model[:2])
    registry = presidio.RecognizerRegistry(recognizers=[reader], supported_languages=[model[:2]])
    return presidio.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[model[:2]])
