"""Copies by meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.inspections.meaning_views import rows_of, view_of
from tunewright.data.inspections.meaning_duplicates import Config, inspect
from tunewright.data.meaning.embedding import Embedder
from tunewright.data.quality.inspection import Inspection, NotRun


def test_pairs_in_other_words_are_counted_and_contradictions_come_first(encoder_folder: Path, tmp_path: Path) -> None:
    # Words that the tiny encoder does not know are all the same word to it: these are copies by meaning alone.
    texts = ["the zebra sat", "the yak sat", "dog", "dog", "a mat", "on a quokka", "on a heron!", None]
    labels = ["x", "x", "y", "y", "z", "z", "w", "w"]
    view = view_of(rows_of("f", texts, labels), cache=tmp_path)
    found = inspect(view, Config(encoder=str(encoder_folder), threshold=0.9999))
    assert isinstance(found, Inspection)
    assert found.numbers["rows"] == 1
    assert found.numbers["other_answers"] == 0
    assert found.value == pytest.approx(1 / 7)
    assert found.worst[0].place == "f:2"
    assert found.worst[0].why == "similarity 1.00 to f:1: the zebra sat"
    # The two that end in "!" and not are as far apart as one token makes them.
    one, other = Embedder.open(str(encoder_folder), tmp_path).embed([texts[5], texts[6]])
    lower = inspect(view, Config(encoder=str(encoder_folder), threshold=max(0.5, round(float(one @ other), 4) - 0.001)))
    assert isinstance(lower, Inspection)
    assert lower.numbers["other_answers"] >= 1
    assert lower.verdict in ("look", "act")
    assert "against" in lower.worst[0].why


def test_without_an_encoder_it_says_how_to_get_one(tmp_path: Path) -> None:
    view = view_of(rows_of("f", ["dog"], ["x"]), cache=tmp_path)
    lacks = inspect(view, Config())
    assert isinstance(lacks, NotRun)
    assert "tunewright models pull all-minilm-l6-v2" in lacks.advice
    nowhere = inspect(view_of(rows_of("f", ["dog"], ["x"]), cache=None), Config())
    assert isinstance(nowhere, NotRun)


def test_rows_without_texts_are_no_crash(encoder_folder: Path, tmp_path: Path) -> None:
    view = view_of(rows_of("f", [None, " "], ["x", "y"]), cache=tmp_path)
    found = inspect(view, Config(encoder=str(encoder_folder)))
    assert isinstance(found, Inspection)
    assert found.value == 0
