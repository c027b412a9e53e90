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
OF = {"seed": 4, "template": None}  # what each score says it is of


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
    assert list(value) == ["n", "seed", "answer_kind", "base", "tuned", "comparisons", "differences", "confusion"]
    assert (value["n"], value["seed"], value["answer_kind"]) == (6, 4, "label")
    assert list(value["tuned"]) == ["accuracy", "macro_f1", "perplexity", "cut", "seconds"]
    # Wilson's intervals: six right answers are no proof of perfection.
    assert value["tuned"]["accuracy"] == {
        "value": 1.0,
        "low": pytest.approx(0.6097, abs=1e-4),
        "high": 1.0,
        "n": 6,
        **OF,
    }
    assert value["tuned"]["perplexity"]["value"] == pytest.approx(1.6487212707)
    assert value["tuned"]["cut"] == {
        "value": 0.0, "low": 0.0, "high": pytest.approx(0.3903, abs=1e-4), "n": 6, **OF, "count": 0,
    }  # fmt: skip
    assert value["tuned"]["seconds"] == 1.5
    assert value["base"]["accuracy"]["value"] == pytest.approx(2 / 6)
    assert 0 <= value["base"]["accuracy"]["low"] <= 2 / 6 <= value["base"]["accuracy"]["high"] <= 1
    # Four rows differ, all in favour of tuned: 2 / 2**4.
    p = pytest.approx(1 / 8)
    assert value["comparisons"] == [
        {"metric": "accuracy", "a": "tuned", "b": "base", "only_a": 4, "only_b": 0, "p": p, "p_corrected": p}
    ]
    (apart,) = value["differences"]
    assert (apart["metric"], apart["value"], apart["p"], apart["p_corrected"]) == (
        "accuracy",
        pytest.approx(4 / 6),
        p,
        p,
    )
    assert value["confusion"]["tuned"] == {"labels": ["a", "b"], "counts": [[3, 0], [0, 3]]}
    assert value["confusion"]["base"] == {"labels": ["a", "b", "(other)"], "counts": [[1, 0, 2], [2, 1, 0], [0, 0, 0]]}


def test_equal_seeds_give_equal_evaluations() -> None:
    assert _evaluate() == _evaluate()
    assert _evaluate(seed=5).systems["base"].metrics != _evaluate().systems["base"].metrics


def test_cut_answers_are_counted() -> None:
    value = evaluate({"tuned": _labels("tuned", LABELS, stopped=False)}, answer_kind="label", seed=0, samples=100)
    assert value.as_json()["tuned"]["cut"] == {
        "value": 1.0, "low": pytest.approx(0.6097, abs=1e-4), "high": 1.0, "n": 6, **OF, "seed": 0, "count": 6,
    }  # fmt: skip


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
    assert value["without_leaked"]["base"]["accuracy"] == {
        "value": 0.0, "low": 0.0, "high": pytest.approx(0.4899, abs=1e-4), "n": 4, **OF,
    }  # fmt: skip
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


def test_each_test_stands_beside_its_correction() -> None:
    systems = {name: _labels(name, ["a", "", "words", "b", "a", "a"]) for name in ("base", "base_few_shot")}
    found = evaluate({**systems, "tuned": _labels("tuned", LABELS)}, answer_kind="label", seed=0, samples=100)
    assert [(c.b, c.p, c.p_corrected) for c in found.comparisons] == [
        ("base", 1 / 8, 1 / 4),
        ("base_few_shot", 1 / 8, 1 / 4),
    ]
    assert [(d.b, d.p_corrected, d.significant) for d in found.differences] == [
        ("base", 1 / 4, False),
        ("base_few_shot", 1 / 4, False),
    ]


def test_documents_differ_in_bits() -> None:
    def read(system: str, nats: float) -> Answers:
        return Answers(system, tuple(Answer(f"d{n}", "", "", nats=nats + n, tokens=9, bytes=40) for n in range(9)), 1.0)

    found = evaluate(
        {"base": read("base", 30), "tuned": read("tuned", 20)}, answer_kind="document", seed=0, samples=100
    )
    assert found.comparisons == []
    assert [(each.metric, each.value < 0) for each in found.differences] == [("bits_per_byte", True)]


def test_rows_of_one_conversation_are_drawn_together() -> None:
    def given(system: str, right: list[bool]) -> Answers:
        rows = enumerate(right)
        return Answers(
            system,
            tuple(Answer(f"r{n}", "a", "a" if hit else "b", columns={"talk": str(n // 10)}) for n, hit in rows),
            1.0,
        )

    systems = {"tuned": given("tuned", [n % 20 < 10 for n in range(60)]), "base": given("base", [False] * 60)}
    accuracy = [METRICS.config("accuracy")()]
    settings: dict[str, Any] = {"answer_kind": "label", "seed": 0, "samples": 300, "metrics": accuracy}
    apart, together = (evaluate(systems, **settings, clusters=column) for column in ("", "talk"))
    wide, narrow = (found.systems["tuned"].metrics["accuracy"] for found in (together, apart))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    # Three of six conversations are all in favour of tuned: 2 / 2**3.
    assert [(each.p, each.test) for each in together.differences] == [(1 / 4, "exact randomisation")]
    with pytest.raises(InputError, match=r"60 of 60 rows have no column 'talks'.*Did you mean 'talk'"):
        evaluate(systems, **settings, clusters="talks")
