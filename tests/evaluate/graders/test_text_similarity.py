"""Likeness of texts: by hand, and beside the libraries that others measure with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import sentence_bleu

from tunewright.evaluate.graders import Graded, Kit, Look, grade, parse_grader

GIVEN, WANTED = "the cat sat on a mat", "the cat sat on the mat"
PAIRS = [
    (GIVEN, WANTED),
    ("a quick brown fox jumps over the lazy dog", "the quick brown fox jumped over a lazy dog today"),
    ("no word in common", "something else entirely"),
    ("the same five words here", "the same five words here"),
]


def likeness(metric: str, given: str, wanted: str, kit: Kit | None = None, **more: float) -> Graded:
    raw = {"type": "text_similarity", "name": "x", "evaluation_metric": metric, "input": given, "reference": wanted}
    return grade(parse_grader({**raw, **more}), Look({}), kit or Kit())


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("fuzzy_match", 2 * 19 / 42),  # "the cat sat on " and " mat" are common: 19 of 20 and of 22 characters
        ("gleu", 11 / 18),  # 5 words, 3 pairs, 2 threes and 1 four in a row are common; the texts have 18 each
        ("rouge_1", 5 / 6),
        ("rouge_2", 3 / 5),
        ("rouge_3", 2 / 4),
        ("rouge_4", 1 / 3),
        ("rouge_5", 0.0),
        ("rouge_l", 5 / 6),
        ("meteor", 5 / 6 * (1 - 0.5 * (2 / 5) ** 3)),  # P = R = 5/6; five matches in two runs
    ],
)
def test_by_hand(metric: str, score: float) -> None:
    assert likeness(metric, GIVEN, WANTED).score == pytest.approx(score)


@pytest.mark.parametrize(("given", "wanted"), PAIRS)
def test_beside_other_libraries(given: str, wanted: str) -> None:
    bleu = sentence_bleu(given, [wanted], use_effective_order=True).score / 100
    assert likeness("bleu", given, wanted).score == pytest.approx(bleu, abs=1e-6)
    kinds = ["rouge1", "rouge2", "rouge3", "rouge4", "rouge5", "rougeL"]
    theirs = RougeScorer(kinds).score(wanted, given)
    ours = {kind: likeness(f"rouge_{kind[-1].lower()}", given, wanted).score for kind in kinds}
    assert ours == pytest.approx({kind: theirs[kind].fmeasure for kind in kinds})


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_5", "rouge_l"])
def test_every_measure_is_between_0_and_1_for_whatever_it_is_given(metric: str) -> None:
    for given in ("", " ", "a", "日本語 text", "\n"):
        for wanted in ("", "a", "日本語"):
            assert 0 <= likeness(metric, given, wanted).score <= 1
    assert likeness(metric, WANTED, WANTED).score > 0.99


def test_cosine_is_that_of_the_embeddings() -> None:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[0.6, 0.8] if text == "a" else [1.0, 0.0] for text in texts], dtype=np.float32)

    assert likeness("cosine", "a", "b", Kit(embed=embed)).score == pytest.approx(0.6)


def test_it_passes_from_the_threshold_on() -> None:
    assert likeness("rouge_2", GIVEN, WANTED, pass_threshold=0.6).passed
    assert not likeness("rouge_2", GIVEN, WANTED, pass_threshold=0.61).passed
    assert likeness("rouge_3", GIVEN, WANTED).passed
    assert not likeness("rouge_4", GIVEN, WANTED).passed
