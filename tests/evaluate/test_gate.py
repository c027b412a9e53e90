"""The gate: what passes, what does not, by how much, and that nothing passes unmeasured."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.evaluate import Answers, Evaluation, Finding, Ruling, Slicing, check_gate, evaluate, parse_slice
from tunewright.metrics import Answer

# 100 rows: the tuned model has 90 right, the base 60 of the same, a rival 88 of the same.
ROWS = 100


def _answers(system: str, right: int) -> Answers:
    rows = range(ROWS)
    return Answers(
        system,
        tuple(
            Answer(f"r{i}", "yes", "yes" if i < right else "no", nats=1.0, tokens=1, columns={"shop": "ab"[i >= 80]})
            for i in rows
        ),
        1.0,
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    systems = {"base": _answers("base", 60), "rival": _answers("rival", 88), "tuned": _answers("tuned", 90)}
    found = evaluate(systems, answer_kind="label", seed=0, samples=500, slicing=Slicing(["shop"]))
    forgotten = Finding("forgetting", "Forgotten", 0.05, n=10, better="lower", low=0.01, high=0.09)
    return replace(found, findings=(forgotten, Finding("broken", "Broken", math.nan, n=1, better="lower")))


def _rule(evaluation: Evaluation, what: str, bar: str, **more: Any) -> Ruling:
    (found,) = check_gate({what: bar}, evaluation, **more)
    return found


@pytest.mark.parametrize(
    ("what", "bar", "value", "passed", "by"),
    [
        ("accuracy", ">= 0.85", 0.9, True, 0.05),
        ("accuracy", ">= 0.9", 0.9, True, 0.0),
        ("accuracy", "> 0.9", 0.9, False, 0.0),
        ("accuracy", ">= 0.93", 0.9, False, -0.03),
        ("accuracy", "== 1", 0.9, False, -0.1),
        ("cut", "<= 0", 0.0, True, 0.0),
        ("forgetting", "<= 0.02", 0.05, False, -0.03),
        ("forgetting.high", "<= 0.1", 0.09, True, 0.01),
        ("perplexity", "< 3", math.e, True, 3 - math.e),
        ("slice.shop=b.accuracy", ">= 0.6", 0.5, False, -0.1),
        ("slice.shop=a.accuracy", ">= 1", 1.0, True, 0.0),
        ("slice.shop=a.perplexity", "<= 3", math.e, True, 3 - math.e),
    ],
)
def test_numbers_by_hand(evaluation: Evaluation, what: str, bar: str, value: float, passed: bool, by: float) -> None:
    found = _rule(evaluation, what, bar)
    assert (found.value, found.passed, found.by) == (pytest.approx(value), passed, pytest.approx(by))


def test_the_lower_end_of_the_interval_is_harder_to_pass(evaluation: Evaluation) -> None:
    low = evaluation.systems["tuned"].metrics["accuracy"].low
    assert _rule(evaluation, "accuracy.low", ">= 0.85").passed is False
    assert _rule(evaluation, "accuracy.low", ">= 0.75").value == low
    slices = evaluation.slices
    assert slices is not None
    # All 80 rows of that shop are right: Wilson's interval, and not one without width.
    assert _rule(evaluation, "slice.shop=a.accuracy.low", ">= 0.99").value == pytest.approx(0.9542, abs=1e-4)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("acuracy", "Did you mean 'accuracy'?"),
        ("forgeting", "Did you mean 'forgetting'?"),
        ("broken.low", "has no interval"),
        ("slice.shop=c.accuracy", "No such slice was measured. Did you mean 'shop="),
        ("slice.shop=a.f1", "'f1' was not measured"),
        ("slice.shop=a.perplexity.low", "only 'accuracy' has an interval"),
        ("broken", "no number"),
    ],
)
@pytest.mark.parametrize("bar", [">= 0", "<= 0", "== 0", "< 999", "> -999"])
def test_what_is_not_there_never_passes(evaluation: Evaluation, what: str, said: str, bar: str) -> None:
    found = _rule(evaluation, what, bar)
    assert (found.value, found.passed, found.by) == (None, False, None)
    assert said in found.note


def test_without_a_tuned_model_nothing_passes(evaluation: Evaluation) -> None:
    bare = replace(evaluation, systems={}, slices=None, differences=())
    gate = {"accuracy": ">= 0", "slice.shop=a.accuracy": ">= 0", "vs_base": "not_worse"}
    assert [found.passed for found in check_gate(gate, bare)] == [False] * 3


def test_significantly_better_is_after_the_correction(evaluation: Evaluation) -> None:
    base, rival = (_rule(evaluation, f"vs_{name}", "significant") for name in ("base", "rival"))
    assert (base.passed, base.value) == (True, pytest.approx(0.3))
    assert base.by is not None
    assert base.by > 0
    # Two rows more right: p = 0.5.
    assert (rival.passed, rival.value) == (False, pytest.approx(0.02))
    assert "p = 0.5000" in rival.note
    lucky = tuple(replace(each, p=0.04, p_corrected=0.08) for each in evaluation.differences)
    assert not _rule(replace(evaluation, differences=lucky), "vs_base", "significant").passed


def test_a_model_that_is_surely_worse_is_not_significantly_better(evaluation: Evaluation) -> None:
    worse = tuple(replace(each, value=-each.value, low=-each.high, high=-each.low) for each in evaluation.differences)
    turned = replace(evaluation, differences=worse)
    assert not _rule(turned, "vs_base", "significant").passed
    assert not _rule(turned, "vs_base", "not_worse").passed
    assert _rule(turned, "vs_rival", "not_worse").passed  # two rows are no proof
    assert not _rule(turned, "vs_base", "not_worse by 0.1").passed


def test_not_worse_by_more_than_so_much_is_a_proof(evaluation: Evaluation) -> None:
    rival = next(each for each in evaluation.differences if each.b == "rival")
    even = replace(evaluation, differences=(replace(rival, value=0.0, low=-0.04, high=0.04, p=1.0, p_corrected=1.0),))
    assert _rule(even, "vs_rival", "not_worse").passed
    assert not _rule(even, "vs_rival", "not_worse by 0.03").passed
    found = _rule(even, "vs_rival", "not_worse by 0.05")
    assert (found.passed, found.by) == (True, pytest.approx(0.01))


def test_of_bits_less_is_better() -> None:
    def read(system: str, nats: float) -> Answers:
        return Answers(
            system, tuple(Answer(f"d{n}", "", "", nats=nats + n % 3, tokens=9, bytes=40) for n in range(40)), 1.0
        )

    systems = {"base": read("base", 30), "tuned": read("tuned", 20)}
    found = evaluate(systems, answer_kind="document", seed=0, samples=200)
    better = _rule(found, "vs_base", "significant")
    assert better.passed
    assert better.value is not None
    assert better.by is not None
    assert better.value < 0 < better.by
    swapped = evaluate(
        {"base": systems["tuned"], "tuned": systems["base"]}, answer_kind="document", seed=0, samples=200
    )
    assert not _rule(swapped, "vs_base", "not_worse").passed


def test_the_first_release_has_nothing_to_lose_against(evaluation: Evaluation) -> None:
    assert not _rule(evaluation, "vs_champion", "significant").passed
    first = _rule(evaluation, "vs_champion", "significant", absent=["champion"])
    assert (first.passed, first.value, first.by) == (True, None, None)
    assert "no release of this name yet" in first.note


def test_a_small_slice_says_so() -> None:
    rows = tuple(Answer(f"r{i}", "y", "y", columns={"shop": "a" if i < 20 else "b"}) for i in range(23))
    found = evaluate(
        {"tuned": Answers("tuned", rows, 1.0)}, answer_kind="label", seed=0, samples=100, slicing=Slicing(["shop"])
    )
    assert "3 rows alone" in _rule(found, "slice.shop=b.accuracy", ">= 0.5").note


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("slice.language=de.accuracy", ("language", "de", "accuracy", "")),
        ("slice.language=de.accuracy.low", ("language", "de", "accuracy", "low")),
        ("slice.answer.intent=a.b=c.f1.high", ("answer.intent", "a.b=c", "f1", "high")),
        ("slice.level=low.accuracy", ("level", "low", "accuracy", "")),
    ],
)
def test_names_of_slices(what: str, parts: tuple[str, ...]) -> None:
    assert parse_slice(what) == parts


@settings(max_examples=25)
@given(st.floats(0, 1), st.sampled_from([">=", "<=", ">", "<"]))
def test_by_is_negative_only_where_it_missed(evaluation: Evaluation, bar: float, sign: str) -> None:
    found = _rule(evaluation, "accuracy", f"{sign} {bar:.6f}")
    assert found.by is not None
    assert found.by >= 0 if found.passed else found.by <= 0
