"""chrF, against sacrebleu."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from tests.metrics.contract import measure, value
from tunewright.metrics import Answer

TEXT = st.text("abAB é東京\n.", max_size=14)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5), st.booleans())
def test_equals_sacrebleu(rows: list[tuple[str, str, str]], lowercase: bool) -> None:
    said, first, second = ([row[place] for row in rows] for place in range(3))
    theirs = CHRF(lowercase=lowercase)
    answers = [Answer("r", wanted, given) for given, wanted, _ in rows]
    found = measure("chrf", answers, lowercase=lowercase)["chrf"]
    assert found.value == pytest.approx(theirs.corpus_score(said, [first]).score, abs=1e-6)
    assert list(found.values) == pytest.approx(
        [theirs.sentence_score(given, [wanted]).score for given, wanted, _ in rows], abs=1e-6
    )
    several = [Answer("r", wanted, given, references=(other,)) for given, wanted, other in rows]
    expected = theirs.corpus_score(said, [first, second]).score
    assert value("chrf", several, lowercase=lowercase) == pytest.approx(expected, abs=1e-6)


def test_texts_of_very_many_different_characters() -> None:
    draw = random.Random(0)
    rows = [
        ("".join(chr(draw.randrange(0x4E00, 0x4E00 + size)) for _ in range(3000)), size) for size in (4000, 400, 90)
    ]
    answers = [Answer(str(size), text, text[7:1500] + text[1600:]) for text, size in rows]
    expected = CHRF().corpus_score(
        [answer.prediction for answer in answers], [[answer.reference for answer in answers]]
    )
    assert value("chrf", answers) == pytest.approx(expected.score, abs=1e-6)
