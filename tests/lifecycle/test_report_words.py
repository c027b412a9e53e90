"""Numbers as words, and the preparation of data and answers for the page."""

from __future__ import annotations

import pytest

from tunewright.lifecycle.report import ReportFacts, answers, material, scores, words


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (1e-60, "chance would do this less than once in 10,000 times"),
        (0.0, "chance would do this less than once in 10,000 times"),
        (0.0004, "chance would do this about once in 2,500 times"),
        (0.0034, "chance would do this about once in 290 times"),
        (0.23, "chance alone would do this about 23 times in 100"),
        (1.0, "chance alone would do this nearly every time"),
    ],
)
def test_p_values_are_said_in_words(p: float, said: str) -> None:
    assert words.chance(p) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.05, "0.1 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (252, "4 min 12 s"), (7390, "2 h 03 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_a_near_miss_never_looks_like_a_hit() -> None:
    assert words.value_beside_bar(0.7996, 0.8, share=True) == "79.96%"
    assert words.distance(0.7996, 0.8, share=True) == "0.04 points below"
    assert words.value_beside_bar(0.8, 0.8, share=True) == "80.0%"
    assert words.distance(0.8, 0.8, share=True) == "exactly on the bar"
    assert words.distance(0.9, 0.8, share=True) == "10.0 points above"
    assert words.distance(1.2, 1.5, share=False) == "0.3 below"


@pytest.mark.parametrize(
    ("condition", "parsed"),
    [(">= 0.9", (">=", 0.9)), ("<1", ("<", 1.0)), (" == 0.5 ", ("==", 0.5)), ("around 3", None)],
)
def test_conditions(condition: str, parsed: tuple[str, float] | None) -> None:
    assert words.parse_condition(condition) == parsed


def test_bars_in_words() -> None:
    assert words.bar_words(">=", 0.895, share=True) == "at least 89.5%"
    assert words.bar_words("<=", 3.0, share=False) == "at most 3"


def test_names_of_metrics() -> None:
    assert words.metric_name("record_exact_match") == "Whole record right"
    assert words.metric_name("order_id_accuracy") == "Order id right"
    assert words.metric_name("accuracy") == "Accuracy"
    assert words.metric_name("some_new_metric") == "Some new metric"


def test_numbers_that_are_no_shares() -> None:
    assert [words.plain(value) for value in (1.0312, 24.34, 1530.2, 0.0123, 0)] == [
        "1.03", "24.3", "1,530", "0.0123", "0",
    ]  # fmt: skip
    assert words.size(2_470_000_000) == "2.5 GB"
    assert words.moment("2026-03-01T14:05:00+00:00") == "1 March 2026, 14:05 UTC"
    assert words.moment("yesterday") == "yesterday"


def test_json_answers_are_compared_field_by_field() -> None:
    shown = answers.lines('{"b": 2, "a": 1, "c": 0}', '{"a": 1, "b": 3, "d": null}')
    assert [(line.text, line.wrong) for line in shown] == [
        ("b: 2", True),
        ("a: 1", False),
        ("c: 0", True),
        ("d: missing", True),
    ]


def test_true_is_not_one() -> None:
    assert answers.lines('{"a": true}', '{"a": 1}')[0].wrong


def test_answers_that_are_no_json_stay_as_they_are() -> None:
    assert answers.lines("  {broken", '{"a": 1}') == [answers.Line("  {broken")]


def test_a_thousand_brackets_are_shown_as_they_are() -> None:
    brackets = '{"a":' * 100_000
    assert answers.lines(brackets, '{"a": 1}') == [answers.Line(brackets)]


def test_invisible_letters_are_shown() -> None:
    assert material.visible(" a  b\t\u00a0c ") == "·a··b⇥[U+00A0]c·"
    assert material.visible(None) == ""


def test_paths_lose_the_folder_they_share() -> None:
    assert material.short_paths(["/a/b/x.csv", "/a/b/c/y.csv"]) == ["x.csv", "c/y.csv"]
    assert material.short_paths(["data/x.csv"]) == ["data/x.csv"]
    assert material.short_paths(["/a/x.csv"]) == ["x.csv"]


def test_lengths_keep_whatever_quantiles_there_are() -> None:
    found = material.preflight({"lengths": {"min": 3, "p25": 5, "p50": 8, "max": 1200}, "end_share": 0.5})
    assert found is not None
    names = [("Shortest", "3"), ("25% up to", "5"), ("Half up to", "8"), ("Longest", "1,200")]
    assert found["lengths"] == [("Whole example", names)]
    assert found["lines"] == [("End of answer is learned", "in 50.0% of the examples")]


def test_refusals_may_be_a_plain_mapping() -> None:
    lines = material.refused({"refused": {"empty": 2, "not JSON": 7}})
    assert [(line["reason"], line["count"]) for line in lines] == [("not JSON", 7), ("empty", 2)]


def test_the_other_column_is_no_label() -> None:
    matrix = {"labels": ["a", "b", "(other)"], "counts": [[3, 1, 0], [0, 2, 4], [0, 0, 0]]}
    found = scores.confusions({"confusion": {"tuned": {"intent": matrix}}})[0]
    assert (found["of"], found["labels"], found["rows"], found["wrong"]) == ("intent", ["a", "b"], 10, 5)
    assert found["worst"][0] == {"expected": "b", "answered": "none of the labels", "count": 4, "of": 6}


def test_the_field_with_most_errors_comes_first() -> None:
    good = {"labels": ["a", "b"], "counts": [[3, 0], [0, 2]]}
    bad = {"labels": ["a", "b"], "counts": [[1, 2], [0, 2]]}
    assert [each["of"] for each in scores.confusions({"confusion": {"good": good, "bad": bad}})] == ["bad", "good"]


def test_only_the_tuned_models_matrix_is_drawn() -> None:
    matrix = {"labels": ["a", "b"], "counts": [[3, 0], [0, 2]]}
    assert scores.confusions({"confusion": {"base": matrix}}) == []
    assert len(scores.confusions({"confusion": {"base": matrix, "tuned": matrix}})) == 1


def test_cut_answers_are_counted() -> None:
    score = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 50}
    cut = {"value": 0.06, "low": 0.0, "high": 0.1, "n": 50, "count": 3}
    table = scores.table({"tuned": {"accuracy": score, "cut": cut}, "bag_of_words": {"accuracy": score, "cut": 0}})
    assert table["costs"][0]["cells"] == ["3", "0"]
    assert [line["metric"] for line in table["lines"]] == ["accuracy"]


def test_a_better_baseline_is_called_better() -> None:
    score = {"low": 0.0, "high": 1.0, "n": 10}
    evaluation = {
        "tuned": {"accuracy": {"value": 0.8, **score}},
        "bag_of_words": {"accuracy": {"value": 0.9, **score}},
    }
    [key] = scores.key_numbers(ReportFacts(name="x", evaluation=evaluation))
    assert key["sentences"] == ["For comparison: bag-of-words classifier 90.0%, better than the tuned model."]


def test_less_is_better_for_perplexity() -> None:
    evaluation = {"base": {"perplexity": {"value": 6.9}}, "tuned": {"perplexity": {"value": 1.2}}}
    [line] = scores.table(evaluation)["lines"]
    assert [(cell["value"], cell["best"]) for cell in line["cells"]] == [("6.90", False), ("1.20", True)]
