"""Paired differences: by hand, against scipy, and by how often they are wrong."""

from __future__ import annotations

import itertools
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from tunewright.base.errors import InputError
from tunewright.evaluate.paired import (
    EXACT_RANDOMISATION,
    MCNEMAR,
    PAIRED_BOOTSTRAP,
    RANDOMISATION,
    Difference,
    corrected,
    difference,
    differences,
    holm,
    randomisation,
)
from tunewright.evaluate.power import detectable_share
from tunewright.evaluate.statistics import mcnemar_exact
from tunewright.metrics import Measure
from tunewright.metrics._measure import ratio


def _measure(values: object) -> Measure:
    return Measure("m", np.asarray(values, dtype=np.float64))


def _between(first: Measure, second: Measure, **settings: object) -> Difference:
    return difference(first, second, a="a", b="b", **{"samples": 1000, "seed": 0, **settings})  # type: ignore[arg-type]


def test_a_share_has_the_exact_mcnemar_test() -> None:
    a, b = _measure([1] * 12 + [0] * 3 + [1] * 85), _measure([0] * 12 + [1] * 3 + [1] * 85)
    found = _between(a, b)
    assert found.value == pytest.approx(0.09)
    assert (found.test, found.p) == (MCNEMAR, pytest.approx(0.035156, abs=1e-6))  # 2 · P(at most 3 of 15)
    assert found.low < 0.09 < found.high
    # The difference of paired shares has a standard error of √(ψ − δ²) / √n.
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * (0.15 - 0.09**2) ** 0.5 / 10, rel=0.1)
    assert found.detectable == detectable_share(100, 0.15)


def test_the_same_answers_differ_in_nothing_and_promise_nothing() -> None:
    found = _between(_measure([1, 0] * 50), _measure([1, 0] * 50))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.detectable > 0.07


def test_swapping_all_ways_is_scipys_permutation_test() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(0.6, 1, 9), random.normal(0, 1, 9)
    expected = permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert randomisation(_measure(a), _measure(b), samples=1, seed=0) == (pytest.approx(expected), EXACT_RANDOMISATION)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=16))
def test_swapping_right_and_wrong_is_mcnemar(rows: list[tuple[bool, bool]]) -> None:
    a, b = _measure([row[0] for row in rows]), _measure([row[1] for row in rows])
    found = randomisation(a, b, samples=1, seed=0)
    assert found == (pytest.approx(mcnemar_exact(a.values, b.values).p), EXACT_RANDOMISATION)


def test_random_swaps_come_near_all_of_them() -> None:
    random = np.random.default_rng(5)
    a, b = random.normal(0.35, 1, 60), random.normal(0, 1, 60)
    p, test = randomisation(_measure(a), _measure(b), samples=20_000, seed=0) or (0, "")
    # Far from its ends a mean of 60 is normal: the sign-flip distribution has the standard error √Σd² / n.
    apart = a - b
    expected = 2 * NormalDist().cdf(-abs(apart.sum()) / float(np.sqrt((apart**2).sum())))
    assert (test, p) == (RANDOMISATION, pytest.approx(expected, abs=0.015))


def test_no_random_p_is_zero() -> None:
    p, _ = randomisation(_measure(np.ones(40) * 1.5), _measure(np.zeros(40)), samples=99, seed=0) or (0, "")
    assert p == pytest.approx(0.01)


def test_a_cluster_is_swapped_as_one() -> None:
    # Twenty rows, all in favour of a, but from three conversations: 2 of 2³ swaps are as large.
    a, b, clusters = _measure(np.ones(20)), _measure(np.zeros(20)), np.arange(20) % 3
    assert randomisation(a, b, samples=10, seed=0, clusters=clusters) == (0.25, EXACT_RANDOMISATION)
    found = _between(a, b, clusters=clusters)
    assert (found.test, found.p) == (EXACT_RANDOMISATION, 0.25)


def test_a_measure_that_is_no_mean_has_the_bootstraps_tails() -> None:
    values = np.random.default_rng(2).random(50)
    first = Measure("largest", values, lambda rows: values[rows].max(axis=-1))
    second = Measure("largest", values - 2, lambda rows: values[rows].max(axis=-1) - 2)
    found = _between(first, second)
    assert randomisation(first, second, samples=10, seed=0) is None
    assert (found.test, found.p) == (PAIRED_BOOTSTRAP, pytest.approx(2 / 1001))
    assert found.value == pytest.approx(2.0)


def test_a_formula_of_sums_is_swapped_row_by_row() -> None:
    # Micro-averaged precision: hits over given. All 2³ swaps of three rows, worked out one by one.
    a, b = [(3, 4), (2, 2), (1, 3)], [(1, 4), (2, 3), (0, 1)]
    apart = []
    for swaps in itertools.product([False, True], repeat=3):
        pairs = [(y, x) if swap else (x, y) for x, y, swap in zip(a, b, swaps, strict=True)]
        first, second = (np.sum([pair[side] for pair in pairs], axis=0) for side in (0, 1))
        apart.append(abs(first[0] / first[1] - second[0] / second[1]))
    first, second = (ratio("precision", *np.array(rows).T) for rows in (a, b))
    expected = np.mean([one >= apart[0] - 1e-12 for one in apart])
    assert randomisation(first, second, samples=1, seed=0) == (pytest.approx(expected), EXACT_RANDOMISATION)
    found = _between(first, second)
    assert found.value == pytest.approx(6 / 9 - 3 / 8)
    rows = np.array([[0, 0, 2]])
    assert first.reduce(rows) - second.reduce(rows) == pytest.approx(7 / 11 - 2 / 9)


def test_swaps_without_a_value_leave_the_bootstrap() -> None:
    # Swapping the first row leaves the second system nothing to divide by.
    with np.errstate(all="ignore"):
        first = ratio("share", np.array([0, 1]), np.array([0, 2]))
        second = ratio("share", np.array([1, 0]), np.array([1, 0]))
    assert randomisation(first, second, samples=9, seed=0) is None


def test_very_many_rows_are_drawn_as_what_they_sum_to() -> None:
    random = np.random.default_rng(6)
    n = 40_000
    a, b = _measure(random.random(n) < 0.8), _measure(random.random(n) < 0.7)
    found = _between(a, b, samples=2000)
    error = float((a.values - b.values).std() / n**0.5)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.06)


def test_holm_by_hand() -> None:
    # In order 0.005·4, 0.01·3, 0.03·2, 0.04·1, and none below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_corrected_p_lies_between_the_p_and_bonferronis(ps: list[float]) -> None:
    found = holm(ps)
    assert all(p <= now <= min(1.0, len(ps) * p) for p, now in zip(ps, found, strict=True))
    assert min(found) == min(1.0, len(ps) * min(ps))
    order = np.argsort(ps, kind="stable")
    assert np.diff(np.array(found)[order]).min(initial=0) >= 0


def test_a_p_that_is_no_number_is_not_corrected_away() -> None:
    with pytest.raises(InputError, match="no p value"):
        holm([0.1, float("nan")])


def test_one_system_against_each_other_on_each_metric() -> None:
    random = np.random.default_rng(0)

    def scores(right: float) -> dict[str, Measure]:
        return {"accuracy": _measure(random.random(200) < right), "loss": _measure(random.random(200))}

    measures = {"base": scores(0.4), "tuned": scores(0.9), "words": {"accuracy": scores(0.85)["accuracy"]}}
    found = differences(measures, first="tuned", metrics=["accuracy", "loss"], samples=200, seed=1)
    assert [(each.a, each.b, each.p_corrected >= each.p) for each in found if each.p_corrected is not None] == [
        ("tuned", "base", True),
        ("tuned", "base", True),
        ("tuned", "words", True),
    ]
    assert found[0].significant
    assert found[0].p_corrected == pytest.approx(3 * found[0].p)
    assert set(found[0].as_json()) >= {"metric", "a", "b", "value", "low", "high", "p", "p_corrected", "test", "n"}


def test_only_the_correction_takes_significance_away() -> None:
    lone = Difference("m", "a", "b", 0.1, 0.0, 0.2, 0.03, 100, MCNEMAR, 0.1)
    assert lone.significant
    assert not corrected([lone, lone])[0].significant


def test_unequal_rows_and_what_is_no_number_are_errors() -> None:
    with pytest.raises(InputError, match="2 and 3"):
        _between(_measure([1, 0]), _measure([1, 0, 1]))
    with pytest.raises(InputError, match="0 and 0"):
        _between(_measure([]), _measure([]))
    with pytest.raises(InputError, match="no finite number"):
        _between(_measure([1.0, np.nan]), _measure([1.0, 0.5]))


def test_ninety_five_intervals_of_a_hundred_hold_the_truth() -> None:
    random, held, alarms = np.random.default_rng(8), 0, 0
    for seed in range(200):
        right = random.random(80) < 0.7
        # b is right where a is, but for some rows; it is 0.06 worse in truth.
        b = np.where(right, random.random(80) < 0.86, random.random(80) < 0.126666667)
        found = _between(_measure(right), _measure(b), samples=200, seed=seed)
        held += found.low <= 0.7 - (0.7 * 0.86 + 0.3 * 0.126666667) <= found.high
        null = _between(_measure(random.random(40)), _measure(random.random(40)), samples=199, seed=seed)
        alarms += null.p < 0.05
    assert 0.915 <= held / 200 <= 0.98
    assert 0.02 <= alarms / 200 <= 0.08


def test_holm_keeps_false_alarms_among_many_tests_rare() -> None:
    random = np.random.default_rng(9)
    families = [random.random(20) for _ in range(1000)]  # twenty true null hypotheses each
    assert np.mean([min(family) < 0.05 for family in families]) > 0.6
    assert np.mean([min(holm(family.tolist())) < 0.05 for family in families]) < 0.06
