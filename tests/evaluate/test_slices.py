"""Slices: where it is worse, for whom it got worse, and what to collect next."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import fisher_exact

from tunewright.evaluate.collecting import what_to_collect
from tunewright.evaluate.cuts import Cut
from tunewright.evaluate.intervals import wilson
from tunewright.evaluate.slices import Slice, Slices, Slicing, slice_up, surely_worse
from tunewright.metrics import Answer, Measure

# 60 reviews: the neutral ones are mostly wrong, the few mixed ones cannot be judged.
LABELS = ["good"] * 25 + ["bad"] * 20 + ["neutral"] * 12 + ["mixed"] * 3
SAID = ["good"] * 24 + ["bad"] * 20 + ["bad"] + ["neutral"] * 3 + ["good"] * 7 + ["bad"] * 2 + ["mixed"] * 3
BEFORE = ["good"] * 15 + ["bad"] * 10 + ["bad"] * 20 + ["neutral"] * 12 + ["good"] * 3


def _rows(said: list[str]) -> list[Answer]:
    return [
        Answer(f"r{i}", right, given, question=f"review {i}", columns={"shop": "ab"[i % 2]})
        for i, (right, given) in enumerate(zip(LABELS, said, strict=True))
    ]


def _hits(said: list[str]) -> Measure:
    return Measure("accuracy", np.array([a == b for a, b in zip(LABELS, said, strict=True)], dtype=np.float64))


def _slices(**changes: Any) -> Slices:
    measures = {
        "tuned": {"accuracy": _hits(SAID), "length": Measure("length", np.arange(60.0))},
        "base": {"accuracy": _hits(BEFORE)},
    }
    settings = {"metric": "accuracy", "answer_kind": "label", "system": "tuned", "other": "base", "samples": 300}
    by = changes.pop("by", ["class"])
    slicing = Slicing(by, ["good"] * 300 + ["bad"] * 300 + ["neutral"] * 60 + ["mixed"] * 300)
    return slice_up(_rows(SAID), measures, slicing, **{**settings, **changes})


def _of(found: Slices, value: str) -> Slice:
    return next(each for each in found.slices if each.value == value)


def test_the_worst_come_first_and_the_smallest_last() -> None:
    assert [each.value for each in _slices().slices] == ["neutral", "good", "bad", "mixed"]


def test_a_slice_against_the_rest_has_fishers_test_and_its_correction() -> None:
    neutral = _of(_slices(), "neutral")
    assert (neutral.n, neutral.score.value, neutral.rest) == (12, 0.25, pytest.approx(47 / 48))
    expected = fisher_exact([[3, 9], [47, 1]]).pvalue
    assert neutral.p == pytest.approx(expected)
    assert neutral.p_corrected == pytest.approx(3 * expected)  # three slices are large enough to be tested
    assert neutral.name == "class=neutral"
    assert neutral.metrics == {"length": pytest.approx(np.arange(45, 57).mean())}
    assert surely_worse(neutral)
    assert not surely_worse(_of(_slices(), "bad"))


def test_small_slices_are_marked_and_not_tested() -> None:
    mixed = _of(_slices(), "mixed")
    assert mixed.too_small
    assert (mixed.p, mixed.p_corrected, mixed.against) == (None, None, None)
    assert mixed.score.low == pytest.approx(wilson(3, 3)[0])


def test_for_whom_it_got_worse_than_the_base() -> None:
    found = _slices()
    neutral, good = _of(found, "neutral").against, _of(found, "good").against
    assert neutral is not None
    assert good is not None
    assert (neutral.value, neutral.p) == (pytest.approx(-9 / 12), pytest.approx(2 / 2**9))
    assert neutral.p_corrected == pytest.approx(3 * 2 / 2**9)
    assert good.value > 0


def test_examples_are_wrong_answers_and_only_of_the_worst() -> None:
    found = _slices()
    examples = _of(found, "neutral").examples
    assert [each["id"] for each in examples] == ["r48", "r49", "r50"]
    assert examples[0] == {"id": "r48", "question": "review 48", "reference": "neutral", "prediction": "good"}
    assert _of(found, "bad").examples == ()


def test_the_neutral_reviews_are_what_to_collect() -> None:
    first = _slices().collect[0]
    assert (first.value, first.wrong, first.n, first.in_training, first.usual) == ("neutral", 9, 12, 60, 300)
    assert first.taken_for == (("good", 7), ("bad", 2))
    assert first.rows == 240  # what brings it to the middle class
    assert first.like[0] == "review 48"
    assert first.sentence == (
        "Collect about 240 more rows of `neutral`: 9 of 12 wrong; taken 7 for `good` and 2 for `bad`; 60 in training, "
        "where the middle one has 300. People word them like “review 48”."
    )


def test_one_field_of_a_record_counts_its_own_errors() -> None:
    said = ['{"intent": "a", "order": 9}', '{"intent": "b", "order": 9}', "no record"]
    rows = [Answer(f"r{i}", '{"intent": "a", "order": 1}', text) for i, text in enumerate(said)]
    cut = Cut("answer.intent", ("a",) * 3, is_class=True)
    (wanted,) = what_to_collect(rows, [cut], [True] * 3, [], ['{"intent": "a"}'] * 4 + ['{"intent": "b"}'] * 4, "json")
    assert (wanted.wrong, wanted.in_training, wanted.usual) == (2, 4, 4)
    assert wanted.taken_for == (("b", 1), ("(no record)", 1))


def test_a_sentence_holds_nothing_that_a_terminal_would_obey() -> None:
    rows = [Answer("r", "a", "\x1b[2J" + "x" * 99, question="line\nbreak\x07")]
    (wanted,) = what_to_collect(rows, [Cut("class", ("a",), is_class=True)], [True], [], [], "label")
    assert wanted.sentence.isprintable()
    assert "xxx…`" in wanted.sentence
    assert "“line break�”" in wanted.sentence


def test_another_slice_is_wanted_only_where_it_is_surely_worse() -> None:
    rows = [Answer(f"r{i}", "a", "a" if i < 15 else "b") for i in range(20)]
    cut, wrong = Cut("shop", ("rome",) * 10 + ("oslo",) * 10), [i >= 15 for i in range(20)]
    assert what_to_collect(rows, [cut], wrong, [], [], "label") == []
    (wanted,) = what_to_collect(rows, [cut], wrong, ["shop=oslo"], [], "label")
    assert (wanted.value, wanted.rows, wanted.in_training) == ("oslo", 10, None)


def test_a_measure_of_any_kind_is_dealt_at_random() -> None:
    values = np.concatenate([np.full(12, 9.0), np.ones(48)]) + np.linspace(0, 0.5, 60)
    measure = Measure("bits", values, lambda rows: np.median(values[rows], axis=-1))
    found = slice_up(
        [Answer(f"r{i}", "", "", columns={"shop": "a" if i < 12 else "b"}) for i in range(60)],
        {"tuned": {"bits": measure}},
        Slicing(["shop"]),
        metric="bits", answer_kind="document", system="tuned", less_is_better=True, samples=199,
    )  # fmt: skip
    worst = found.slices[0]
    assert (worst.value, worst.p, found.other) == ("a", pytest.approx(1 / 200), "")
    assert surely_worse(worst, -1)
    assert found.collect == ()


def test_even_slices_raise_no_alarm_too_often() -> None:
    random, alarms = np.random.default_rng(3), 0
    rows = [Answer(f"r{i}", "", "", columns={"shop": "abcde"[i % 5]}) for i in range(100)]
    for seed in range(40):
        measures = {"tuned": {"share": Measure("share", (random.random(100) < 0.7).astype(float))}}
        found = slice_up(
            rows, measures, Slicing(["shop"]), metric="share", answer_kind="text", system="tuned", samples=20, seed=seed
        )
        alarms += any(surely_worse(each) for each in found.slices)
    assert alarms <= 5  # in truth five of a hundred, at most


def test_slices_of_conversations_are_tested_by_conversation() -> None:
    plain = _of(_slices(by=["shop"]), "a")
    # Two conversations a shop are little evidence, however many rows they have.
    few = _of(_slices(by=["shop"], clusters=np.arange(60) % 4), "a")
    assert few.p is not None
    assert plain.p is not None
    assert few.score.high - few.score.low != plain.score.high - plain.score.low
    assert few.against is not None
    assert few.against.test == "exact randomisation"


def test_the_json_is_plain() -> None:
    value = json.loads(json.dumps(_slices(by=["class", "nothing"]).as_json(), allow_nan=False))
    assert list(value) == ["metric", "less_is_better", "system", "other", "slices", "notes", "collect"]
    assert "No row has a column 'nothing'" in value["notes"][0]
    assert value["slices"][0]["score"]["n"] == 12
    assert value["slices"][0]["against"]["b"] == "base"
    assert value["collect"][0]["sentence"].startswith("Collect about 240 more rows")
