"""Systems side by side: the exact JSON, alignment, partial systems, leaked rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.evaluate.made import recorded
from tunewright.base.errors import InputError
from tunewright.base.plugins import METRICS
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.bag_of_words import bag_of_words
from tunewright.evaluate.evaluate import Evaluation, evaluate
from tunewright.metrics import Answer

LABELS = ["a", "a", "a", "b", "b", "b"]


def _labels(system: str, said: list[str], **changes: Any) -> Answers:
    answers = tuple(
        Answer(f"r{row}", *pair, nats=1.0, tokens=2, **changes)
        for row, pair in enumerate(zip(LABELS, said, strict=True))
    )
    return Answers(system, answers, 1.5)


def _evaluate(**changes: Any) -> Evaluation:
    systems = {"base": _labels("base", ["a", "", "words", "b", "a", "a"]), "tuned": _labels("tuned", LABELS)}
    return evaluate(systems, **({"answer_kind": "label", "seed": 4, "samples": 200} | changes))


def test_the_json_of_labels() -> None:
    value = json.loads(json.dumps(_evaluate().as_json(), allow_nan=False))
    assert list(value) == ["n", "seed", "answer_kind", "base", "tuned", "comparisons", "confusion"]
    assert (value["n"], value["seed"], value["answer_kind"]) == (6, 4, "label")
    assert list(value["tuned"]) == ["accuracy", "macro_f1", "perplexity", "cut", "seconds"]
    assert value["tuned"]["accuracy"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 6}
    assert value["tuned"]["perplexity"]["value"] == pytest.approx(1.6487212707)
    assert value["tuned"]["cut"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 6, "count": 0}
    assert value["tuned"]["seconds"] == 1.5
    assert value["base"]["accuracy"]["value"] == pytest.approx(2 / 6)
    assert 0 <= value["base"]["accuracy"]["low"] <= 2 / 6 <= value["base"]["accuracy"]["high"] <= 1
    # Four rows differ, all in favour of tuned: 2 / 2**4.
    assert value["comparisons"] == [
        {"metric": "accuracy", "a": "tuned", "b": "base", "only_a": 4, "only_b": 0, "p": pytest.approx(1 / 8)}
    ]
    assert value["confusion"]["tuned"] == {"labels": ["a", "b"], "counts": [[3, 0], [0, 3]]}
    assert value["confusion"]["base"] == {"labels": ["a", "b", "(other)"], "counts": [[1, 0, 2], [2, 1, 0], [0, 0, 0]]}


def test_equal_seeds_give_equal_evaluations() -> None:
    assert _evaluate() == _evaluate()
    assert _evaluate(seed=5).systems["base"].metrics != _evaluate().systems["base"].metrics


def test_cut_answers_are_counted() -> None:
    value = evaluate({"tuned": _labels("tuned", LABELS, stopped=False)}, answer_kind="label", seed=0, samples=100)
    assert value.as_json()["tuned"]["cut"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 6, "count": 6}


def test_systems_may_answer_in_any_order() -> None:
    tuned = _labels("tuned", ["a", "b", "a", "b", "b", "b"])
    turned = Answers("tuned", tuned.answers[::-1], 1.5)
    base = _labels("base", LABELS)
    kept, mixed = (
        evaluate({"base": base, "tuned": one}, answer_kind="label", seed=0, samples=100) for one in (tuned, turned)
    )
    assert kept == mixed


def test_records_and_a_baseline_that_leaves_a_field_out() -> None:
    train, test = recorded(80, seed=1), recorded(20, seed=2)
    said = [answer if row % 2 else '{"intent":' for row, answer in enumerate(example.answer for example in test)]
    tuned = Answers(
        "tuned",
        tuple(Answer(e.id, e.answer, text, nats=1.0, tokens=9) for e, text in zip(test, said, strict=True)),
        1.0,
    )
    baseline = bag_of_words(train, test, answer_kind="json", seed=0)
    value = evaluate({"tuned": tuned, "bag_of_words": baseline}, answer_kind="json", seed=0, samples=100).as_json()
    assert list(value["tuned"]) == [
        "record_exact_match", "json_valid", "intent_accuracy", "order_accuracy", "urgent_accuracy", "perplexity",
        "cut", "seconds",
    ]  # fmt: skip
    assert [value["tuned"][name]["value"] for name in ("record_exact_match", "json_valid", "intent_accuracy")] == [
        0.5
    ] * 3
    # Of the fields it does not answer there is no score, and of the whole record neither.
    assert list(value["bag_of_words"]) == ["intent_accuracy", "urgent_accuracy", "cut", "seconds", "not_covered"]
    assert value["bag_of_words"]["intent_accuracy"]["value"] == 1.0
    assert value["bag_of_words"]["not_covered"] == ["order"]
    assert [(c["metric"], c["a"], c["b"], c["only_a"], c["only_b"]) for c in value["comparisons"]] == [
        ("intent_accuracy", "tuned", "bag_of_words", 0, 10),
        ("urgent_accuracy", "tuned", "bag_of_words", 0, 10),
    ]
    assert set(value["confusion"]["tuned"]) == {"intent", "urgent"}
    assert value["confusion"]["bag_of_words"]["urgent"]["labels"] == ["null", "true"]
    json.dumps(value, allow_nan=False)


def test_text_has_no_confusion() -> None:
    found = evaluate({"tuned": _labels("tuned", LABELS)}, answer_kind="text", seed=0, samples=100).as_json()
    assert list(found["tuned"]) == ["exact_match", "perplexity", "cut", "seconds"]
    assert "confusion" not in found
    assert found["comparisons"] == []


def test_leaked_rows_are_left_out_in_a_second_score() -> None:
    found = _evaluate(leaked=frozenset({"r0", "r3", "not here"}))
    value = found.as_json()
    assert value["without_leaked"]["rows"] == 2
    assert value["without_leaked"]["base"]["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 4}
    assert value["without_leaked"]["tuned"]["accuracy"]["n"] == 4
    assert value["base"]["accuracy"]["value"] == pytest.approx(2 / 6)
    assert "without_leaked" not in _evaluate(leaked=frozenset({"not here"})).as_json()
    everything = _evaluate(leaked=frozenset(f"r{row}" for row in range(6))).as_json()
    assert everything["without_leaked"] == {"rows": 6}


def test_chosen_metrics_take_the_place_of_the_defaults() -> None:
    folded = METRICS.config("exact_match")(casefold=True)
    assert list(_evaluate(metrics=[folded]).systems["tuned"].metrics) == ["exact_match"]
    with pytest.raises(InputError, match="Two metrics are called 'exact_match'"):
        _evaluate(metrics=[folded, METRICS.config("exact_match")()])


def test_systems_that_answered_different_rows_are_refused() -> None:
    tuned = _labels("tuned", LABELS)
    with pytest.raises(InputError, match=r"'base' \(5 rows\) did not answer the rows of 'tuned' \(6 rows\)"):
        evaluate({"tuned": tuned, "base": Answers("base", tuned.answers[1:], 0.0)}, answer_kind="label", seed=0)
    with pytest.raises(InputError, match="answered more than once"):
        evaluate({"tuned": Answers("tuned", tuned.answers * 2, 0.0)}, answer_kind="label", seed=0)
    with pytest.raises(InputError, match="No system"):
        evaluate({}, answer_kind="label", seed=0)
    with pytest.raises(InputError, match="cannot be called 'n'"):
        evaluate({"n": tuned}, answer_kind="label", seed=0)
    with pytest.raises(InputError, match="no answers"):
        evaluate({"tuned": Answers("tuned", (), 0.0)}, answer_kind="label", seed=0)
