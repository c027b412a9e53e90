"""Coefficients of agreement, held to the examples of their authors."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import cohen_kappa_score

from tunewright.base.errors import InputError
from tunewright.evaluate.agreement import (
    Level,
    Rating,
    Weights,
    cohen_kappa,
    every_pair,
    fleiss_kappa,
    krippendorff_alpha,
)

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", part D: four observers, twelve units, gaps.
KRIPPENDORFF = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}
# Fleiss' kappa, the worked example of ten subjects, fourteen raters and five categories: 0.210.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def _krippendorff() -> list[Rating]:
    return [
        Rating(f"unit{unit:02}", rater, float(value))
        for rater, row in KRIPPENDORFF.items()
        for unit, value in enumerate(row.split())
        if value != "."
    ]


@pytest.mark.parametrize(("level", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_krippendorffs_own_example(level: Level, value: float) -> None:
    found = krippendorff_alpha(_krippendorff(), level, samples=200)
    assert found.value == pytest.approx(value, abs=5e-4)
    assert (found.n, found.ratings, found.raters) == (11, 40, ("A", "B", "C", "D"))  # one unit has a single rating
    assert found.low is not None
    assert found.high is not None
    assert found.low < value < found.high


def test_alpha_of_words_on_a_scale_is_that_of_their_ranks() -> None:
    words = ["poor", "fair", "good", "better", "best"]
    named = [Rating(each.unit, each.rater, words[int(each.value) - 1]) for each in _krippendorff()]
    found = krippendorff_alpha(named, "ordinal", order=words, samples=0)
    assert found.value == pytest.approx(0.815, abs=5e-4)
    with pytest.raises(InputError, match="Name the values from one end to the other"):
        krippendorff_alpha(named, "ordinal")
    with pytest.raises(InputError, match="not on the scale: poor"):
        krippendorff_alpha(named, "ordinal", order=words[1:])


def test_fleiss_of_the_worked_example() -> None:
    ratings = [
        Rating(f"subject{subject}", f"rater{rater:02}", float(value))
        for subject, counts in enumerate(FLEISS)
        for rater, value in enumerate([value for value, count in enumerate(counts) for _ in range(count)])
    ]
    found = fleiss_kappa(ratings, samples=200)
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.n == 10
    # A subject that one of them left out is left out, and said so by n.
    assert fleiss_kappa(ratings[1:], samples=0).n == 9


def _two(seed: int, rows: int = 60) -> tuple[list[int], list[int]]:
    draw = random.Random(seed)
    first = [draw.randint(1, 5) for _ in range(rows)]
    return first, [min(5, max(1, value + draw.choice((-1, 0, 0, 0, 1, 2)))) for value in first]


def _ratings(first: list[int], second: list[int]) -> list[Rating]:
    pairs = enumerate(zip(first, second, strict=True))
    return [Rating(f"{row:03}", who, float(v)) for row, pair in pairs for who, v in zip("ab", pair, strict=True)]


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kappa_is_scikit_learns(weights: Weights | None, seed: int) -> None:
    first, second = _two(seed)
    found = cohen_kappa(_ratings(first, second), ("a", "b"), weights=weights, order=(1, 2, 3, 4, 5), samples=200)
    assert found.value == pytest.approx(cohen_kappa_score(first, second, weights=weights, labels=[1, 2, 3, 4, 5]))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert (found.n, found.ratings) == (60, 120)


def test_fleiss_of_two_is_scotts_pi_and_alpha_corrects_it_for_few_things() -> None:
    """For two raters without gaps alpha is 1 - (1 - pi) (2n - 1) / 2n (Krippendorff 2011)."""
    ratings = _ratings(*_two(4))
    pi = fleiss_kappa(ratings, samples=0).value
    alpha = krippendorff_alpha(ratings, "nominal", samples=0).value
    assert pi is not None
    assert alpha == pytest.approx(1 - (1 - pi) * 119 / 120)


def test_what_has_no_value_says_why() -> None:
    same = [Rating(unit, rater, "yes") for unit in "xyz" for rater in "ab"]
    for found in (krippendorff_alpha(same), cohen_kappa(same, ("a", "b")), fleiss_kappa(same)):
        assert found.value is None
        assert "chance would agree" in found.note
        assert found.n == 3
    alone = krippendorff_alpha([Rating(unit, "a", unit) for unit in "xyz"])
    assert (alone.value, alone.n) == (None, 0)
    assert "two or more" in alone.note
    nothing = [krippendorff_alpha([]), cohen_kappa([], ("a", "b")), fleiss_kappa([])]
    assert [found.n for found in nothing] == [0, 0, 0]
    single = krippendorff_alpha([Rating("x", "a", "yes"), Rating("x", "b", "no")])
    assert (single.value, single.low) == (0.0, None)


def test_full_agreement_and_its_opposite() -> None:
    agree = [Rating(unit, rater, unit) for unit in "xyz" for rater in "abc"]
    assert krippendorff_alpha(agree, samples=0).value == 1
    assert fleiss_kappa(agree, samples=0).value == 1
    opposed = [Rating("x", "a", "yes"), Rating("x", "b", "no"), Rating("y", "a", "no"), Rating("y", "b", "yes")]
    assert cohen_kappa(opposed, ("a", "b"), samples=0).value == -1


def test_order_and_seed_decide_nothing_else() -> None:
    ratings = _krippendorff()
    shuffled = random.Random(1).sample(ratings, len(ratings))
    once = krippendorff_alpha(ratings, "ordinal", samples=99, seed=3)
    assert once == krippendorff_alpha(shuffled, "ordinal", samples=99, seed=3)
    assert once != krippendorff_alpha(ratings, "ordinal", samples=99, seed=4)


def test_faults_are_named() -> None:
    with pytest.raises(InputError, match="'a' rated 'x' twice"):
        krippendorff_alpha([Rating("x", "a", 1.0), Rating("x", "a", 2.0)])
    with pytest.raises(InputError, match="no number"):
        fleiss_kappa([Rating("x", "a", float("nan"))])


def test_every_pair_that_shares_something() -> None:
    pairs = every_pair(_krippendorff(), weights="linear", order=(1, 2, 3, 4, 5))
    assert [(one, other, found.n) for one, other, found in pairs] == [
        ("A", "B", 9),
        ("A", "C", 8),
        ("A", "D", 9),
        ("B", "C", 9),
        ("B", "D", 10),
        ("C", "D", 10),
    ]
    assert every_pair([Rating("x", "a", 1.0), Rating("y", "b", 1.0)]) == []
