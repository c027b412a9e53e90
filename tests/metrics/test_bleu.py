"""BLEU, against sacrebleu and the values in its README."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from tests.metrics.contract import measure, value
from tunewright.metrics import Answer

# The example of sacrebleu's README: three sentences, two streams of references, the second one with a gap.
SAID = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
FIRST = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
SECOND = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."]
README = [
    Answer(str(row), first, said, references=(second,))
    for row, (said, first, second) in enumerate(zip(SAID, FIRST, SECOND, strict=True))
]

SOME = ["the", "dog", "bit,", "a", "3.5", "1,000", "-", "it's", "&amp;", "x.", "Ünder"]
WORDS = st.lists(st.sampled_from(SOME), max_size=12)
PAIRS = st.lists(st.tuples(WORDS.map(" ".join), WORDS.map(" ".join)), min_size=1, max_size=6)


@pytest.mark.parametrize(("tokenize", "expected"), [("13a", 48.530827), ("none", 49.1919566), ("intl", 43.91623493)])
def test_the_readme_of_sacrebleu(tokenize: str, expected: float) -> None:
    assert value("bleu", README, tokenize=tokenize) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=12)
@given(PAIRS, st.sampled_from(["13a", "char"]), st.sampled_from(["exp", "none"]), st.booleans())
def test_equals_sacrebleu(pairs: list[tuple[str, str]], tokenize: str, smooth: str, lowercase: bool) -> None:
    answers = [Answer(str(row), wanted, said) for row, (said, wanted) in enumerate(pairs)]
    found = measure("bleu", answers, tokenize=tokenize, smooth=smooth, lowercase=lowercase)["bleu"]
    theirs = BLEU(tokenize=tokenize, smooth_method=smooth, lowercase=lowercase)
    expected = theirs.corpus_score([said for said, _ in pairs], [[wanted for _, wanted in pairs]]).score
    assert found.value == pytest.approx(expected, abs=1e-6)
    sentence = BLEU(tokenize=tokenize, smooth_method=smooth, lowercase=lowercase, effective_order=True)
    each = [sentence.sentence_score(said, [wanted]).score for said, wanted in pairs]
    assert list(found.values) == pytest.approx(each, abs=1e-6)


def test_a_resample_is_the_bleu_of_its_rows() -> None:
    rows = [0, 2, 2, 1]
    theirs = BLEU().corpus_score([SAID[row] for row in rows], [[FIRST[row] for row in rows]]).score
    answers = [Answer(str(row), FIRST[row], SAID[row]) for row in range(3)]
    assert float(measure("bleu", answers)["bleu"].reduce(np.array(rows))) == pytest.approx(theirs, abs=1e-6)


def test_empty_answers_count_as_nothing_right() -> None:
    assert value("bleu", [Answer("1", "a b c d", "")]) == 0.0
    half = [Answer("1", "a b c d", "a b c d"), Answer("2", "a b c d", "")]
    assert value("bleu", half) == pytest.approx(BLEU().corpus_score(["a b c d", ""], [["a b c d"] * 2]).score, abs=1e-6)


def test_many_different_words() -> None:
    draw = random.Random(0)
    said, wanted = (" ".join(str(draw.randrange(900)) for _ in range(5000)) for _ in range(2))
    answers = [Answer("1", wanted, said), Answer("2", "a b c", "a b c")]
    expected = BLEU().corpus_score([said, "a b c"], [[wanted, "a b c"]]).score
    assert value("bleu", answers) == pytest.approx(expected, abs=1e-6)


def test_the_score_says_how_it_was_made() -> None:
    assert measure("bleu", README)["bleu"].note.startswith("case:mixed|eff:no|tok:13a|smooth:exp|version:2")
