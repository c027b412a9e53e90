"""ROUGE, against rouge-score and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from tests.metrics.contract import measure
from tunewright.metrics import Answer

KINDS = ["rouge1", "rouge2", "rougeL"]
TEXT = st.lists(st.sampled_from(["the", "Dog", "bit-the", "a_b", "3.5", "...", "man's", "ran"]), max_size=12).map(
    " ".join
)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5))
def test_equals_rouge_score(rows: list[tuple[str, str, str]]) -> None:
    theirs = RougeScorer(KINDS)
    found = measure("rouge", [Answer("r", wanted, said) for said, wanted, _ in rows])
    each = [theirs.score(wanted, said) for said, wanted, _ in rows]
    for kind in KINDS:
        assert list(found[kind].values) == pytest.approx([scores[kind].fmeasure for scores in each], abs=1e-6)
    several = measure("rouge", [Answer("r", wanted, said, references=(other,)) for said, wanted, other in rows])
    best = [theirs.score_multi([wanted, other], said) for said, wanted, other in rows]
    for kind in KINDS:
        assert several[kind].value == pytest.approx(np.mean([scores[kind].fmeasure for scores in best]), abs=1e-6)


def test_by_hand() -> None:
    found = measure("rouge", [Answer("1", "the cat sat on the mat", "the cat on the mat sat")])
    # Six words each. All of them shared; of five pairs "the cat", "on the", "the mat"; in order all but "sat".
    assert [found[kind].value for kind in KINDS] == pytest.approx([1.0, 3 / 5, 5 / 6])


@pytest.mark.parametrize(
    ("wanted", "said", "rouge1"),
    [
        ("Кошка сидела на окне", "кошка спала на окне", 3 / 4),
        ("किताब मेज़ पर है", "किताब मेज़ पर", 6 / 7),  # vowel signs belong to their words
        ("我喜欢猫", "我喜欢狗", 3 / 4),  # no spaces: character by character
        ("naïve café", "naive cafe", 0.0),
    ],
)
def test_letters_of_all_scripts_count(wanted: str, said: str, rouge1: float) -> None:
    assert measure("rouge", [Answer("1", wanted, said)])["rouge1"].value == pytest.approx(rouge1)


def test_stems_where_asked_for() -> None:
    answers = [Answer("1", "The dogs were barking loudly", "the dog barks loud")]
    # Words of three letters stay, "dogs" is cut to "dog", "barking" and "barks" to "bark", "loudly" to "loudli".
    assert measure("rouge", answers, stem=True)["rouge1"].value == pytest.approx(2 * 3 / (5 + 4))
    assert measure("rouge", answers)["rouge1"].value == pytest.approx(2 * 1 / (5 + 4))
    assert RougeScorer(["rouge1"], use_stemmer=True).score("The dogs were barking loudly", "the dog barks loud")[
        "rouge1"
    ].fmeasure == pytest.approx(6 / 9)


def test_only_what_is_asked_for() -> None:
    assert list(measure("rouge", [Answer("1", "a", "a")], kinds=["rougeL"])) == ["rougeL"]
